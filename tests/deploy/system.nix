# What the flake makes of a configuration, without the rest of NixOS: only the options that the module sets are
# declared here, of NixOS' types. Called by nix.py.
{
  root,
  lib,
  configuration ? "{}",
  kernel ? "6.18.1",
}:

let
  nixpkgs = import lib;
  inherit (nixpkgs) mkOption types;
  flake = (import (root + "/flake.nix")).outputs {
    self = flake // {
      outPath = toString root;
    };
    nixpkgs = {
      lib = nixpkgs;
      legacyPackages = nixpkgs.genAttrs [ "aarch64-linux" "x86_64-linux" ] packagesFor;
    };
  };

  # Packages that are names and nothing else; the flake's own is made by its expression.
  packagesFor =
    system:
    let
      package =
        name: more:
        derivation (
          {
            inherit name system;
            builder = "none";
          }
          // more
        );
      names = nixpkgs.genAttrs [
        "cmocka"
        "curl"
        "gnutls"
        "jansson"
        "libarchive"
        "libjpeg"
        "libmicrohttpd"
        "libspng"
        "libwebp"
        "mbedtls"
        "mesa"
        "meson"
        "nettle"
        "nghttp2"
        "ninja"
        "pkg-config"
        "python3"
        "zlib"
      ] (name: package name { });
      all = names // {
        lib = nixpkgs;
        stdenv = {
          hostPlatform = { inherit system; };
          buildPlatform.canExecute = platform: platform.system == system;
          mkDerivation =
            arguments:
            package "${arguments.pname}-${arguments.version}" (
              builtins.removeAttrs arguments [ "meta" ] // { src = "${arguments.src}"; }
            )
            // {
              inherit (arguments) meta;
            };
        };
      };
    in
    all // { callPackage = nixpkgs.callPackageWith all; };

  unit = types.submodule {
    options = {
      description = mkOption {
        type = types.singleLineStr;
        default = "";
      };
      wantedBy = mkOption {
        type = types.listOf types.nonEmptyStr;
        default = [ ];
      };
      restartTriggers = mkOption {
        type = types.listOf types.unspecified;
        default = [ ];
      };
      environment = mkOption {
        type = types.attrsOf (types.nullOr types.str);
        default = { };
      };
      serviceConfig = mkOption {
        type = types.attrsOf (
          types.oneOf [
            types.str
            types.int
            types.bool
            (types.listOf types.str)
          ]
        );
        default = { };
      };
      listenStreams = mkOption {
        type = types.listOf types.str;
        default = [ ];
      };
    };
  };
  etc = types.submodule (
    { config, name, ... }:
    {
      options.text = mkOption { type = types.lines; };
      options.source = mkOption {
        type = types.path;
        default = builtins.toFile (builtins.baseNameOf name) config.text;
      };
    }
  );
  set =
    type: default:
    mkOption { inherit type default; };

  system = nixpkgs.evalModules {
    modules = [
      flake.nixosModules.default
      {
        options = {
          assertions = set (types.listOf types.unspecified) [ ];
          boot.kernelModules = set (types.listOf types.str) [ ];
          boot.kernelPackages = set types.raw { };
          environment.systemPackages = set (types.listOf types.package) [ ];
          environment.sessionVariables = set (types.attrsOf (types.either types.str types.path)) { };
          environment.etc = set (types.attrsOf etc) { };
          services.udev.packages = set (types.listOf types.path) [ ];
          services.udev.extraRules = set types.lines "";
          users.groups = set (types.attrsOf (
            types.submodule {
              options.members = set (types.listOf types.str) [ ];
            }
          )) { };
          systemd.tmpfiles.rules = set (types.listOf types.str) [ ];
          systemd.packages = set (types.listOf types.package) [ ];
          systemd.services = set (types.attrsOf unit) { };
          systemd.sockets = set (types.attrsOf unit) { };
          networking.firewall.allowedTCPPorts = set (types.listOf types.port) [ ];
        };
        config = {
          _module.args.pkgs = packagesFor "aarch64-linux";
          boot.kernelPackages.kernel.version = kernel;
        };
      }
      (builtins.fromJSON configuration)
    ];
  };
  inherit (system) config;

  # What there is to set, as the guide names it.
  names = prefix: options: nixpkgs.concatLists (
    nixpkgs.mapAttrsToList (
      name: option:
      let
        path = "${prefix}.${name}";
      in
      if nixpkgs.isOption option then
        [
          {
            inherit path;
            described = option ? description;
          }
        ]
      else
        names path option
    ) options
  );
in
{
  options = names "hardware.scree" system.options.hardware.scree;
  packages = nixpkgs.mapAttrs (_: packages: {
    inherit (packages.default)
      name
      outputs
      mesonFlags
      mesonCheckFlags
      postInstall
      ;
    inputs = map (input: input.name) (packages.default.nativeBuildInputs ++ packages.default.buildInputs);
    path = packages.default.drvPath;
    same = packages.default.outPath == packages.scree.outPath;
    inherit (packages.default.meta) mainProgram platforms;
  }) flake.packages;
  checks = builtins.attrNames flake.checks;
  program = "${flake.packages.aarch64-linux.scree}/bin";
  mesa = "${(packagesFor "aarch64-linux").mesa}";
  failed = map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions);
  inherit (config.boot) kernelModules;
  systemPackages = map toString config.environment.systemPackages;
  inherit (config.environment) sessionVariables;
  files = nixpkgs.mapAttrs (_: file: file.text) config.environment.etc;
  udev = {
    packages = map toString config.services.udev.packages;
    rules = config.services.udev.extraRules;
  };
  groups = nixpkgs.mapAttrs (_: group: group.members) config.users.groups;
  tmpfiles = config.systemd.tmpfiles.rules;
  units = map toString config.systemd.packages;
  inherit (config.systemd) services sockets;
  ports = config.networking.firewall.allowedTCPPorts;
}
