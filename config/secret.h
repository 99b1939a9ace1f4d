/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.h: secrets from files of their own, which only their owner can read.
 */
#ifndef KURA_CONFIG_SECRET_H
#define KURA_CONFIG_SECRET_H

/*
 * Reads the secret in the file `path`: its bytes without a newline at the end. 0 with *secret owned
 * (secret_free), or -EINVAL with a refusal in `why` (CFG_WHY_LEN), which never has a part of it.
 */
int cfg_secret_read(const char *path, char **secret, char *why);

#endif
