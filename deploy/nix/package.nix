# scree for nixpkgs' callPackage.
{
  lib,
  stdenv,
  meson,
  ninja,
  pkg-config,
  python3,
  cmocka,
  curl,
  gnutls,
  jansson,
  libarchive,
  libjpeg,
  libmicrohttpd,
  libspng,
  libwebp,
  mbedtls,
  nettle,
  nghttp2,
  zlib,
  src ? ../..,
}:

stdenv.mkDerivation {
  pname = "scree";
  version = "0.1.0";
  inherit src;

  outputs = [
    "out"
    "dev"
    "man"
  ];

  nativeBuildInputs = [
    meson
    ninja
    pkg-config
    python3
  ];

  buildInputs = [
    curl
    gnutls
    jansson
    libarchive
    libjpeg
    libmicrohttpd
    libspng
    libwebp
    mbedtls
    nettle
    nghttp2
    zlib
  ];

  nativeCheckInputs = [ python3 ];
  checkInputs = [ cmocka ];

  doCheck = stdenv.buildPlatform.canExecute stdenv.hostPlatform;
  mesonFlags = [ (lib.mesonEnable "tests" true) ];
  mesonCheckFlags = [
    "--suite=unit"
    "--suite=cli"
  ];

  postPatch = ''
    patchShebangs tools
  '';

  postInstall = ''
    install -Dm644 ../deploy/udev/60-scree.rules $out/lib/udev/rules.d/60-scree.rules
    install -Dm644 -t $out/lib/systemd/system ../deploy/systemd/scree-{device-plugin.service,serve.service,serve.socket}
    substituteInPlace $out/lib/systemd/system/scree-*.service --replace-fail /usr/bin/scree $out/bin/scree
  '';

  meta = {
    description = "Runs quantized TensorFlow Lite models on the RK3588's CPU and NPU";
    license = lib.licenses.mit;
    mainProgram = "scree";
    platforms = [
      "aarch64-linux"
      "x86_64-linux"
    ];
  };
}
