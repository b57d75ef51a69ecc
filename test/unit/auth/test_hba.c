/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/hba.h"
#include "core/error.h"
#include "../suite.h"
#include "rule_dir.h"
#include <string.h>

Suite *suite_hba(void);

Suite *suite_hba(void)
{
	return suite_create("hba");
}
