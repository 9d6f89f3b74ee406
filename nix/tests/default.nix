# Programs that are compiled against a libtorch and run, found the two ways that other builds find it.
{
  stdenv,
  cmake,
  pkg-config,
  libtorch,
}:
{
  cmake = stdenv.mkDerivation {
    name = "libtorch-${libtorch.flavor}-cmake";
    src = ./.;
    nativeBuildInputs = [ cmake ];
    buildInputs = [ libtorch ];
    installPhase = ''
      ./answer >"$out"
    '';
  };

  pkg-config = stdenv.mkDerivation {
    name = "libtorch-${libtorch.flavor}-pkg-config";
    src = ./.;
    nativeBuildInputs = [ pkg-config ];
    buildInputs = [ libtorch ];
    buildPhase = ''
      c++ $(pkg-config --cflags libtorch) answer.cpp $(pkg-config --libs libtorch) -o answer
    '';
    installPhase = ''
      ./answer >"$out"
    '';
  };
}
