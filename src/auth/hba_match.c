/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/hba_match.h"
#include "hba_priv.h"
#include "core/memory.h"
#include <assert.h>
#include <string.h>
#include <strings.h>

/* Of one search. */
struct hba_answered {
	enum hba_verdict question;
	char *text;
	enum hba_reply reply;
};

/* Is this so, as far as it is known? In the order in which they count when a rule's parts are put
 * together. */
enum truth { TRUTH_NO, TRUTH_FAILED, TRUTH_ASKS, TRUTH_YES };

void hba_search_init(struct hba_search *search)
{
	*search = (struct hba_search){.question = HBA_NO_MATCH};
}

void hba_search_fini(struct hba_search *search)
{
	for (size_t i = 0; i < search->answer_count; i++)
		memory_free(&search->answers[i].text);
	memory_free(&search->answers);
	memory_free(&search->text);
	interfaces_fini(&search->interfaces);
	hba_search_init(search);
}

void hba_answer(struct hba_search *search, enum hba_reply reply)
{
	assert(search->text);
	search->answers = memory_realloc(search->answers,
					 (search->answer_count + 1) * sizeof *search->answers);
	search->answers[search->answer_count++] = (struct hba_answered){
		.question = search->question, .text = search->text, .reply = reply};
	search->text = NULL;
	search->question = HBA_NO_MATCH;
}

static enum truth truth_of(bool is_so)
{
	return is_so ? TRUTH_YES : TRUTH_NO;
}

static enum truth truth_of_reply(const struct hba_search *search, enum hba_reply reply)
{
	switch (reply) {
	case HBA_REPLY_NO:
		return TRUTH_NO;
	case HBA_REPLY_YES:
		return TRUTH_YES;
	case HBA_REPLY_NO_SUCH_NAME:
		return truth_of(search->rejects);
	case HBA_REPLY_FAILED:
		break;
	}
	return TRUTH_FAILED;
}

/* What has been answered; otherwise it becomes the search's question, unless there is one. */
static enum truth ask(struct hba_search *search, enum hba_verdict question, const char *text)
{
	for (size_t i = 0; i < search->answer_count; i++) {
		const struct hba_answered *answer = &search->answers[i];
		if (answer->question == question && strcmp(answer->text, text) == 0)
			return truth_of_reply(search, answer->reply);
	}
	if (!search->text) {
		search->question = question;
		search->text = memory_strdup(text);
	}
	return TRUTH_ASKS;
}

static void forget_question(struct hba_search *search)
{
	memory_free(&search->text);
	search->question = HBA_NO_MATCH;
}

/* A role is a member of itself. */
static enum truth is_member(struct hba_search *search, const struct hba_subject *subject,
			    const char *group)
{
	if (strcmp(subject->user, group) == 0)
		return TRUTH_YES;
	return ask(search, HBA_ASKS_GROUP, group);
}

static enum truth pattern_truth(const struct pattern *pattern, const char *text)
{
	enum pattern_result result = pattern_match(pattern, text);
	return result == PATTERN_FAILED ? TRUTH_FAILED : truth_of(result == PATTERN_YES);
}

/* check_db() of PostgreSQL's hba.c. */
static enum truth database_matches(struct hba_search *search, const struct hba_subject *subject,
				   const struct word *word)
{
	if (subject->is_physical_replication)
		return truth_of(word->kind == WORD_REPLICATION);
	switch (word->kind) {
	case WORD_ALL:
		return TRUTH_YES;
	case WORD_SAME_USER:
		return truth_of(strcmp(subject->database, subject->user) == 0);
	case WORD_SAME_ROLE:
		return is_member(search, subject, subject->database);
	case WORD_PATTERN:
		return pattern_truth(word->pattern, subject->database);
	case WORD_NAME:
		return truth_of(strcmp(word->text, subject->database) == 0);
	case WORD_REPLICATION:
	case WORD_GROUP:
		break;
	}
	return TRUTH_NO;
}

static enum truth user_matches(struct hba_search *search, const struct hba_subject *subject,
			       const struct word *word)
{
	switch (word->kind) {
	case WORD_ALL:
		return TRUTH_YES;
	case WORD_GROUP:
		return is_member(search, subject, word->text);
	case WORD_PATTERN:
		return pattern_truth(word->pattern, subject->user);
	default:
		return truth_of(strcmp(word->text, subject->user) == 0);
	}
}

typedef enum truth word_matches_fn(struct hba_search *, const struct hba_subject *,
				   const struct word *);

/* Does any word match? A list that is known to match asks nothing. */
static enum truth words_match(struct hba_search *search, const struct hba_subject *subject,
			      const struct words *words, word_matches_fn *matches)
{
	enum truth best = TRUTH_NO;
	bool had_question = search->text;
	for (size_t i = 0; i < words->count; i++) {
		enum truth truth = matches(search, subject, &words->all[i]);
		if (truth > best)
			best = truth;
		if (best == TRUTH_YES)
			break;
	}
	if (best == TRUTH_YES && !had_question)
		forget_question(search);
	return best;
}

static const struct interfaces *own_interfaces(struct hba_search *search,
					       const struct hba_subject *subject)
{
	if (subject->interfaces)
		return subject->interfaces;
	if (!search->has_interfaces) {
		interfaces_read(&search->interfaces);
		search->has_interfaces = true;
	}
	return &search->interfaces;
}

static bool type_matches(const struct rule *rule, const struct hba_subject *subject)
{
	bool is_local = address_is_unix(subject->remote);
	switch (rule->face.type) {
	case HBA_LOCAL:
		return is_local;
	case HBA_HOST:
	case HBA_HOSTNOGSSENC:
		return !is_local;
	case HBA_HOSTSSL:
		return !is_local && subject->is_tls;
	case HBA_HOSTNOSSL:
		return !is_local && !subject->is_tls;
	case HBA_HOSTGSSENC:
		break;
	}
	return false;
}

static enum truth address_matches(struct hba_search *search, const struct hba_subject *subject,
				  const struct rule *rule)
{
	const struct address *remote = subject->remote;
	if (rule->face.type == HBA_LOCAL)
		return TRUTH_YES;
	switch (rule->address_kind) {
	case ADDRESS_ALL:
		return TRUTH_YES;
	case ADDRESS_SAME_HOST:
		return truth_of(interfaces_have_host(own_interfaces(search, subject), remote));
	case ADDRESS_SAME_NET:
		return truth_of(interfaces_have_network(own_interfaces(search, subject), remote));
	case ADDRESS_NETWORK:
		return truth_of(network_has(&rule->network, remote));
	case ADDRESS_NAME:
		return ask(search, HBA_ASKS_NAME, rule->name);
	}
	return TRUTH_NO;
}

static enum truth rule_matches(struct hba_search *search, const struct hba_subject *subject,
			       const struct rule *rule)
{
	enum truth truth = truth_of(type_matches(rule, subject));
	search->rejects = rule->face.method == AUTH_REJECT;
	if (truth != TRUTH_YES)
		return truth;
	enum truth parts[3];
	parts[0] = address_matches(search, subject, rule);
	if (parts[0] == TRUTH_NO)
		return TRUTH_NO;
	parts[1] = words_match(search, subject, &rule->databases, database_matches);
	if (parts[1] == TRUTH_NO)
		return TRUTH_NO;
	parts[2] = words_match(search, subject, &rule->users, user_matches);
	for (unsigned i = 0; i < 3; i++) {
		if (parts[i] < truth)
			truth = parts[i];
	}
	return truth;
}

bool hba_is_searched(const struct hba *hba, const struct hba_search *search)
{
	return search->serial == hba->serial;
}

enum hba_verdict hba_next(const struct hba *hba, struct hba_search *search,
			  const struct hba_subject *subject, const struct hba_rule **rule)
{
	*rule = NULL;
	if (!hba_is_searched(hba, search)) {
		search->serial = hba->serial;
		search->next = 0;
	}
	forget_question(search);
	for (; search->next < hba->count; search->next++) {
		switch (rule_matches(search, subject, &hba->rules[search->next])) {
		case TRUTH_YES:
			*rule = &hba->rules[search->next].face;
			return HBA_MATCH;
		case TRUTH_ASKS:
			return search->question;
		case TRUTH_FAILED:
			forget_question(search);
			return HBA_UNANSWERED; /* to go on could pass a rule that rejects */
		case TRUTH_NO:
			forget_question(search);
		}
	}
	return HBA_NO_MATCH;
}

bool hba_name_has(const char *name, const char *suffix)
{
	size_t length = strlen(name), wanted = strlen(suffix);
	if (suffix[0] != '.')
		return strcasecmp(name, suffix) == 0;
	return length >= wanted && strcasecmp(name + length - wanted, suffix) == 0;
}
