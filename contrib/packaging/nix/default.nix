# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# For callPackage. Units are in the package; a module of NixOS lists them in systemd.packages.
{ lib, stdenv, autoreconfHook, pkg-config, python3, check, curl, inih, jansson, libb2, libmnl, libpng
, libseccomp, libsodium, qrencode }:

stdenv.mkDerivation {
  pname = "kilowg";
  version = "0.1.0";
  src = lib.cleanSource ../../..;

  nativeBuildInputs = [ autoreconfHook pkg-config python3 ];
  buildInputs = [ curl inih jansson libb2 libmnl libpng libseccomp libsodium qrencode ];
  nativeCheckInputs = [ check ];

  # systemd.pc would name the folder of another package.
  configureFlags = [
    "--with-systemdsystemunitdir=${placeholder "out"}/lib/systemd/system"
    "--with-tmpfilesdir=${placeholder "out"}/lib/tmpfiles.d"
  ];
  enableParallelBuilding = true;
  doCheck = true;
  checkFlags = [ "TESTS=$(UNIT_TESTS)" ];

  meta = {
    description = "Joins cluster nodes into one WireGuard network";
    license = lib.licenses.isc;
    platforms = lib.platforms.linux;
    mainProgram = "kilowg";
  };
}
