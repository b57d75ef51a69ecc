/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/md5.h"
#include "core/memory.h"
#include <string.h>

enum { MD5_HEX = 2 * DIGEST_MD5 };

/* Lower-case hex of the hash of @first and @second, no NUL. */
static bool hash_hex(const void *first, size_t first_size, const void *second, size_t second_size,
		     char hex[MD5_HEX])
{
	size_t size = first_size + second_size;
	uint8_t *joined = memory_try_alloc(size > 0 ? size : 1);
	if (!joined)
		return false;
	memcpy(joined, first, first_size);
	memcpy(joined + first_size, second, second_size);
	uint8_t hash[DIGEST_MD5];
	bool worked = digest_md5(joined, size, hash);
	memory_erase(joined, size);
	memory_free(&joined);
	for (size_t i = 0; worked && i < DIGEST_MD5; i++) {
		hex[2 * i] = "0123456789abcdef"[hash[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[hash[i] & 15];
	}
	memory_erase(hash, sizeof(hash));
	return worked;
}

bool md5_answer(const struct secret *secret, const char *user, const uint8_t salt[4],
		char answer[MD5_TEXT])
{
	char inner[MD5_HEX];
	bool worked = true;
	if (secret->kind == SECRET_MD5)
		memcpy(inner, secret->text + 3, MD5_HEX);
	else
		worked = secret->kind == SECRET_PLAIN &&
			 hash_hex(secret->text, strlen(secret->text), user, strlen(user), inner);
	memcpy(answer, "md5", 3);
	worked = worked && hash_hex(inner, MD5_HEX, salt, 4, answer + 3);
	answer[worked ? MD5_TEXT - 1 : 0] = '\0';
	memory_erase(inner, sizeof(inner));
	return worked;
}

bool md5_verify(const struct secret *secret, const char *user, const uint8_t salt[4],
		const char *answer)
{
	char right[MD5_TEXT];
	bool worked = md5_answer(secret, user, salt, right);
	/* Nobody logs in with an empty password. */
	worked = worked && *secret->text;
	bool is_right = worked && strlen(answer) == MD5_TEXT - 1 &&
			digest_is_equal(answer, right, MD5_TEXT - 1);
	memory_erase(right, sizeof right);
	return is_right;
}

/* Asked and answered as a challenge to ourselves. */
bool md5_is_of(const struct secret *secret, const char *user, const char *password)
{
	static const uint8_t salt[4];
	const struct secret typed = {.kind = SECRET_PLAIN, .text = password};
	char answer[MD5_TEXT];
	bool is_equal =
		md5_answer(&typed, user, salt, answer) && md5_verify(secret, user, salt, answer);
	memory_erase(answer, sizeof answer);
	return is_equal;
}
