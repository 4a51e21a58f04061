{
  description = "scree runs quantized TensorFlow Lite models on the RK3588's CPU and NPU";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "aarch64-linux"
        "x86_64-linux"
      ];
      forAllSystems = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
    in
    {
      packages = forAllSystems (pkgs: rec {
        scree = pkgs.callPackage ./deploy/nix/package.nix { src = self; };
        default = scree;
      });

      nixosModules = rec {
        scree = import ./deploy/nix/module.nix self.packages;
        default = scree;
      };

      checks = self.packages;
    };
}
