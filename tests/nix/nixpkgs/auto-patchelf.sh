# shellcheck shell=bash
# As nixpkgs' autoPatchelf it ends where a library needs what neither the outputs nor the machine has; it patches
# nothing, since this machine's loader finds what wheels are made for.
checkNeeded() {
  local file needed known
  known=$(/sbin/ldconfig -p)
  find "$out" -type f -name '*.so*' | while read -r file; do
    objdump -p "$file" | sed -n 's/^ *NEEDED *//p' | while read -r needed; do
      case " $autoPatchelfIgnoreMissingDeps " in *" $needed "*) continue ;; esac
      [ -e "$out/lib/$needed" ] || grep -qF "	$needed " <<<"$known" || {
        echo "error: auto-patchelf could not satisfy dependency $needed wanted by $file"
        exit 1
      }
    done
  done
}
fixupHooks+=(checkNeeded)
