# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC

EAPI=8

inherit systemd tmpfiles

DESCRIPTION="Joins cluster nodes into one WireGuard network"
HOMEPAGE="https://kilowg.invalid/"
SRC_URI="${P}.tar.xz"

LICENSE="ISC"
SLOT="0"
KEYWORDS="~amd64 ~arm64"
IUSE="kubernetes qrcode seccomp test"
RESTRICT="!test? ( test ) fetch"

DEPEND="
	app-crypt/libb2
	dev-libs/inih
	dev-libs/libsodium:=
	net-libs/libmnl:=
	kubernetes? ( dev-libs/jansson:= net-misc/curl )
	qrcode? ( media-gfx/qrencode:= media-libs/libpng:= )
	seccomp? ( sys-libs/libseccomp )
"
RDEPEND="${DEPEND}
	kubernetes? ( app-misc/jq )
"
BDEPEND="
	virtual/pkgconfig
	test? ( dev-lang/python dev-libs/check )
"

src_configure() {
	econf \
		--disable-hardening \
		$(use_with kubernetes jansson) \
		$(use_with kubernetes libcurl) \
		$(use_with qrcode qrencode) \
		$(use_with seccomp libseccomp) \
		--with-systemdsystemunitdir="$(systemd_get_systemunitdir)" \
		--with-tmpfilesdir=/usr/lib/tmpfiles.d
}

src_test() {
	emake check TESTS='$(UNIT_TESTS) tests/config.t.sh tests/golden.t.sh'
}

src_install() {
	emake DESTDIR="${D}" install
	doinitd contrib/packaging/openrc/kilowg contrib/packaging/openrc/kilowg-userspace \
		contrib/packaging/openrc/kilowg-watch
}

pkg_postinst() {
	tmpfiles_process kilowg.conf
}
