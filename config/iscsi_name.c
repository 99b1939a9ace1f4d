/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iSCSI names: checked and brought to their normal form.
 *
 * Names beyond ASCII would need the whole of stringprep; their domains have an ASCII form, which
 * is what is asked for.
 */
#include "config/value.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* RFC 3722 6.2: of ASCII only letters, digits, dash, dot and colon; mapped to lower case. */
static int normalise(const char *text, char *out, char *why)
{
	size_t len = strlen(text);

	if (!len || len > CFG_ISCSI_NAME_MAX) /* RFC 7143 4.2.7.2 */
		return cfg_refuse(why, "has %zu characters; an iSCSI name has 1 to %d", len,
			CFG_ISCSI_NAME_MAX);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x80)
			return cfg_refuse(why,
				"has the byte 0x%02x; write the name in ASCII, a domain with "
				"other letters in its xn-- form",
				c);
		if (!isalnum(c) && c != '-' && c != '.' && c != ':')
			return cfg_refuse(why,
				"\"%.100s\" is no iSCSI name at its character %zu; only letters, "
				"digits, '-', '.' and ':' are allowed",
				text, i + 1);
		out[i] = (char)tolower(c);
	}
	out[len] = '\0';
	return 0;
}

/* RFC 7143 4.2.7.4: iqn.YYYY-MM.reversed.domain[:anything] */
static int check_iqn(const char *name, char *why)
{
	static const char form[] = "dddd-dd.";
	const char *date = name + 4, *p = date + sizeof form - 1;
	size_t domain;

	for (size_t i = 0; form[i]; i++) {
		if (form[i] == 'd' ? !isdigit((unsigned char)date[i]) : date[i] != form[i])
			return cfg_refuse(why,
				"\"%.100s\" has no date after \"iqn.\"; write the year and month "
				"in which you owned the domain, such as "
				"\"iqn.2026-11.com.example:vm1\"",
				name);
	}
	int month = (date[5] - '0') * 10 + date[6] - '0';
	if (month < 1 || month > 12)
		return cfg_refuse(why, "\"%.100s\" has the month %.2s; months go from 01 to 12",
			name, date + 5);
	domain = strcspn(p, ":");
	if (!domain || p[0] == '.' || p[domain - 1] == '.' || memmem(p, domain, "..", 2))
		return cfg_refuse(why,
			"\"%.100s\" has no reversed domain after the date; write it such as "
			"\"iqn.2026-11.com.example:vm1\"",
			name);
	return 0;
}

/* RFC 7143 4.2.7.5 and 4.2.7.6: hexadecimal digits and nothing else. */
static int check_hex(const char *name, const char *digits, bool long_too, char *why)
{
	size_t len = strlen(digits);

	if ((len == 16 || (long_too && len == 32)) && strspn(digits, "0123456789abcdef") == len)
		return 0;
	return cfg_refuse(why,
		"\"%.100s\" is malformed; after \"%.4s\" come 16%s hexadecimal digits", name, name,
		long_too ? " or 32" : "");
}

int cfg_iscsi_name(const char *text, char *out, char *why)
{
	int err = normalise(text, out, why);

	if (err)
		return err;
	if (!strncmp(out, "iqn.", 4))
		return check_iqn(out, why);
	if (!strncmp(out, "eui.", 4))
		return check_hex(out, out + 4, false, why);
	if (!strncmp(out, "naa.", 4))
		return check_hex(out, out + 4, true, why);
	return cfg_refuse(why,
		"\"%.100s\" is no iSCSI name; names begin with \"iqn.\", \"eui.\" or \"naa.\", "
		"such as \"iqn.2026-11.com.example:vm1\"",
		out);
}

int cfg_iscsi_pattern(const char *text, char *out, char *why)
{
	size_t len = strcspn(text, "*");
	char begin[CFG_ISCSI_NAME_MAX + 1];
	int err;

	if (text[len + 1] || len >= sizeof begin - 1)
		return cfg_refuse(why,
			"\"%.100s\" has \"*\" within it; it stands for the rest of a name, at the "
			"end",
			text);
	memcpy(begin, text, len);
	begin[len] = '\0';
	err = normalise(begin, out, why);
	if (err)
		return err;
	if (len < 5 ||
		(strncmp(out, "iqn.", 4) && strncmp(out, "eui.", 4) && strncmp(out, "naa.", 4)))
		return cfg_refuse(why,
			"\"%.100s\" is the beginning of no iSCSI name; write one such as "
			"\"iqn.1998-01.com.vmware:*\", or \"*\" for anybody",
			text);
	strcpy(out + len, "*");
	return 0;
}
