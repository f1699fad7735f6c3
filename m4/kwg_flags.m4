# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC

# KWG_FLAGS(VARIABLE, FLAG..., [compile | link])
# Appends to VARIABLE each flag that the C compiler takes without a warning. A
# link test also passes the flag to the compiler, as -fstack-protector-strong
# needs support from both. The user's CFLAGS and LDFLAGS stay as they are.
AC_DEFUN([KWG_FLAGS], [
AC_LANG_ASSERT([C])
for kwg_flag in $2
do
	AS_VAR_PUSHDEF([kwg_cache], [kwg_cv_$3_$kwg_flag])
	AC_CACHE_CHECK([whether $CC takes $kwg_flag], [kwg_cache], [
		kwg_saved=$CFLAGS
		CFLAGS="$CFLAGS -Werror $kwg_flag"
		m4_case([$3],
			[compile], [AC_COMPILE_IFELSE],
			[link], [AC_LINK_IFELSE])([AC_LANG_PROGRAM([], [])],
			[AS_VAR_SET([kwg_cache], [yes])],
			[AS_VAR_SET([kwg_cache], [no])])
		CFLAGS=$kwg_saved])
	AS_VAR_IF([kwg_cache], [yes], [AS_VAR_APPEND([$1], [" $kwg_flag"])])
	AS_VAR_POPDEF([kwg_cache])
done
AC_SUBST([$1])
])
