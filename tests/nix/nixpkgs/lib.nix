# The few functions of nixpkgs' lib that the flake calls, with the same arguments.
rec {
  nameValuePair = name: value: { inherit name value; };
  genAttrs = names: f: builtins.listToAttrs (map (name: nameValuePair name (f name)) names);
  filterAttrs =
    keep: set:
    builtins.listToAttrs (
      builtins.concatMap (name: if keep name set.${name} then [ (nameValuePair name set.${name}) ] else [ ]) (
        builtins.attrNames set
      )
    );
  hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
  hasSuffix =
    suffix: text:
    let
      size = builtins.stringLength suffix;
      whole = builtins.stringLength text;
    in
    whole >= size && builtins.substring (whole - size) size text == suffix;
  removePrefix =
    prefix: text: if hasPrefix prefix text then builtins.substring (builtins.stringLength prefix) (-1) text else text;
  removeSuffix =
    suffix: text:
    if hasSuffix suffix text then
      builtins.substring 0 (builtins.stringLength text - builtins.stringLength suffix) text
    else
      text;
  splitString =
    separator: text:
    builtins.filter builtins.isString (
      builtins.split (builtins.replaceStrings [ "." ] [ "[.]" ] separator) (builtins.unsafeDiscardStringContext text)
    );
  concatStringsSep = builtins.concatStringsSep;
  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: values: if condition then values else [ ];
  versionAtLeast = version: least: builtins.compareVersions version least >= 0;
  licenses.bsd3 = {
    shortName = "BSD-3-Clause";
    free = true;
  };
  licenses.nvidiaCudaRedist = {
    shortName = "CUDA EULA";
    free = false;
  };
  sourceTypes.binaryNativeCode.shortName = "binaryNativeCode";
}
