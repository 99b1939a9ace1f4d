# SPDX-License-Identifier: Apache-2.0

# KURA_TRY_FLAG(FLAGS, IF-GOOD, IF-BAD)
# Whether a program compiles and links with FLAGS. Unknown warnings must fail for clang, too.
AC_DEFUN([KURA_TRY_FLAG], [
	kura_save_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS -Werror $1"
	AC_MSG_CHECKING([whether $CC takes $1])
	AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
		[kura_flag_ok=yes], [kura_flag_ok=no])
	AC_MSG_RESULT([$kura_flag_ok])
	CFLAGS=$kura_save_CFLAGS
	AS_IF([test "x$kura_flag_ok" = xyes], [$2], [$3])
])

# KURA_ADD_CFLAGS(VARIABLE, FLAGS): those of FLAGS that the compiler takes are added to VARIABLE.
AC_DEFUN([KURA_ADD_CFLAGS], [
	for kura_flag in m4_normalize([$2]); do
		KURA_TRY_FLAG([$kura_flag], [$1="${$1:+$$1 }$kura_flag"])
	done
])

# KURA_ADD_LDFLAGS(VARIABLE, FLAGS): the same for flags of the link.
AC_DEFUN([KURA_ADD_LDFLAGS], [KURA_ADD_CFLAGS([$1], [$2])])
