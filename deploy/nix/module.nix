# The NPU of an RK3588 for scree: driver, permissions, delegate.
packages:
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.hardware.scree;
  kernel = config.boot.kernelPackages.kernel;

  # An argument as systemd reads it: quoted, and neither a specifier nor a variable in it.
  pluginOption =
    name: value:
    lib.replaceStrings [ "%" "$" ] [ "%%" "$$" ] (
      builtins.toJSON "--${name}=${if lib.isBool value then lib.boolToString value else toString value}"
    );
in
{
  options.hardware.scree = {
    enable = lib.mkEnableOption "the NPU of RK3588 boards for scree";

    package = lib.mkOption {
      type = lib.types.package;
      default = packages.${pkgs.stdenv.hostPlatform.system}.scree;
      defaultText = lib.literalExpression "the flake's package";
      description = "The scree to install.";
    };

    devicePlugin = {
      enable = lib.mkEnableOption "the NPU as a resource of this Kubernetes (K3s) node, by a service in place of a DaemonSet";

      settings = lib.mkOption {
        type = lib.types.attrsOf (
          lib.types.oneOf [
            lib.types.str
            lib.types.int
            lib.types.bool
          ]
        );
        default = { };
        example = {
          shares = 6;
          log-format = "json";
        };
        description = "Options of scree-device-plugin by their names: see scree-device-plugin(8).";
      };
    };

    users = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ "alice" ];
      description = "Users who may use the NPU: they become members of group render.";
    };

    teflon.package = lib.mkOption {
      type = lib.types.nullOr lib.types.package;
      default = pkgs.mesa;
      defaultText = lib.literalExpression "pkgs.mesa";
      description = ''
        The Mesa, 25.3 or later, whose libteflon.so drives the NPU; null to leave scree to what it finds by itself.
      '';
    };

    serve = {
      enable = lib.mkEnableOption "the inference server";

      port = lib.mkOption {
        type = lib.types.port;
        default = 8080;
        description = "The port it listens on.";
      };

      openFirewall = lib.mkOption {
        type = lib.types.bool;
        default = false;
        description = "Whether other machines can reach that port.";
      };

      settings = lib.mkOption {
        type = lib.types.attrsOf (lib.types.attrsOf lib.types.anything);
        default = { };
        example = {
          server.models = "/var/lib/scree/models";
          "model mobilenet".instances = 3;
        };
        description = "Sections and settings of its file; `scree serve --help` tells them all.";
      };
    };

    renderLink = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = ''
        Whether to make /dev/dri/renderD180 a link to the NPU, for a Mesa that looks for it in /dev/dri only.
        `scree doctor` tells whether yours is one.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = lib.versionAtLeast kernel.version "6.18";
        message = ''
          hardware.scree needs Linux 6.18 or later, and this is ${kernel.version}:
          boot.kernelPackages = pkgs.linuxPackages_latest;
        '';
      }
    ];

    # Not only when udev gets to it: a supply that no driver has asked for half a minute after the start is switched off.
    boot.kernelModules = [ "rocket" ];

    environment.systemPackages = [ cfg.package ];
    environment.sessionVariables = lib.mkIf (cfg.teflon.package != null) {
      SCREE_TEFLON = "${lib.getLib cfg.teflon.package}/lib/libteflon.so";
    };

    services.udev.packages = [ cfg.package ];
    services.udev.extraRules = lib.mkIf cfg.renderLink ''
      SUBSYSTEM=="accel", KERNEL=="accel[0-9]*", KERNELS=="rknn", SYMLINK+="dri/renderD180"
    '';

    users.groups.render.members = cfg.users;

    systemd.tmpfiles.rules =
      lib.optionals cfg.devicePlugin.enable [
        "d /run/cdi 0755 root root"
        "d /var/lib/kubelet/device-plugins 0755 root root"
        "d /var/lib/kubelet/plugins_registry 0755 root root"
      ]
      ++ lib.optional cfg.serve.enable "d /var/lib/scree/models 0755 root root -";
    systemd.services.scree-device-plugin = lib.mkIf cfg.devicePlugin.enable {
      wantedBy = [ "multi-user.target" ];
      serviceConfig.ExecStart = [
        ""
        (lib.concatStringsSep " " (
          [ "${cfg.package}/bin/scree-device-plugin" ]
          ++ lib.mapAttrsToList pluginOption (
            {
              cdi-dir = "/run/cdi";
              probe-seconds = 60;
            }
            // cfg.devicePlugin.settings
          )
        ))
      ];
    };

    environment.etc."scree/serve.ini" = lib.mkIf cfg.serve.enable {
      text = lib.generators.toINI { } (
        lib.recursiveUpdate { server.models = "/var/lib/scree/models"; } cfg.serve.settings
      );
    };

    # The units of the package, so that all distributions have the same sandbox.
    systemd.packages = lib.mkIf (cfg.serve.enable || cfg.devicePlugin.enable) [ cfg.package ];
    systemd.sockets.scree-serve = lib.mkIf cfg.serve.enable {
      wantedBy = [ "sockets.target" ];
      listenStreams = [
        ""
        (toString cfg.serve.port)
      ];
    };
    systemd.services.scree-serve = lib.mkIf cfg.serve.enable {
      wantedBy = [ "multi-user.target" ];
      restartTriggers = [ config.environment.etc."scree/serve.ini".source ];
      environment = lib.mkIf (cfg.teflon.package != null) {
        SCREE_TEFLON = "${lib.getLib cfg.teflon.package}/lib/libteflon.so";
      };
    };
    networking.firewall.allowedTCPPorts = lib.mkIf (cfg.serve.enable && cfg.serve.openFirewall) [
      cfg.serve.port
    ];
  };
}
