/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/ldap.h"
#include "auth/method.h"
#include "auth/ldap_options.h"
#include "core/error.h"

#ifdef HAVE_LDAP

#include "core/memory.h"
#include "core/text.h"
#include <errno.h>
#include <ldap.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

/* ---- names in DNs and filters: what they are made of has a size that a client chose ---- */

/* @name as a value in a DN (RFC 4514, 2.4). Three bytes for one at most. */
static void escape_dn(const char *name, char *to)
{
	for (const char *at = name; *at; at++) {
		bool is_end = at == name || !at[1];
		if (strchr("\"+,;<>\\=", *at) || (*at == ' ' && is_end) ||
		    (*at == '#' && at == name))
			*to++ = '\\';
		*to++ = *at;
	}
	*to = '\0';
}

/* @name as a value in a filter (RFC 4515, 3): what is not plain ASCII too, since it need not be
 * valid UTF-8. */
static void escape_filter(const char *name, char *to)
{
	for (const char *at = name; *at; at++) {
		unsigned char byte = (unsigned char)*at;
		if (byte >= 0x80 || byte < 0x20 || strchr("*()\\/", byte))
			to += sprintf(to, "\\%02x", byte);
		else
			*to++ = *at;
	}
	*to = '\0';
}

static char *escaped(const char *name, void (*escape)(const char *name, char *to))
{
	char *text = memory_try_alloc(strlen(name) * 3 + 1);
	if (text)
		escape(name, text);
	return text;
}

static void escape_nothing(const char *name, char *to)
{
	strcpy(to, name);
}

/* The name between prefix and suffix. These make a DN, or a name of another form (as Active
 * Directory takes "user@domain"), in which nothing is to be escaped. */
static char *make_dn(const struct ldap_options *options, const char *user)
{
	const char *prefix = options->prefix ? options->prefix : "";
	const char *suffix = options->suffix ? options->suffix : "";
	bool is_dn = strchr(prefix, '=') || strchr(suffix, '=');
	char *name = escaped(user, is_dn ? escape_dn : escape_nothing);
	if (!name)
		return NULL;
	size_t size = strlen(prefix) + strlen(name) + strlen(suffix) + 1;
	char *dn = memory_try_alloc(size);
	if (dn)
		snprintf(dn, size, "%s%s%s", prefix, name, suffix);
	memory_free(&name);
	return dn;
}

static char *make_filter(const struct ldap_options *options, const char *user)
{
	char form[300];
	const char *filter = options->search_filter;
	const char *attribute = options->search_attribute ? options->search_attribute : "uid";
	if (!filter) {
		snprintf(form, sizeof(form), "(%.250s=" LDAP_USERNAME ")", attribute);
		filter = form;
	}
	size_t places = 0;
	for (const char *at = filter; (at = strstr(at, LDAP_USERNAME)); at += strlen(LDAP_USERNAME))
		places++;
	char *name = escaped(user, escape_filter);
	size_t size = name ? strlen(filter) + places * strlen(name) + 1 : 0;
	char *text = name ? memory_try_alloc(size) : NULL;
	char *to = text;
	for (const char *at = filter, *next; text; at = next + strlen(LDAP_USERNAME)) {
		next = strstr(at, LDAP_USERNAME);
		size_t length = next ? (size_t)(next - at) : strlen(at);
		memcpy(to, at, length);
		to += length;
		if (!next)
			break;
		to = stpcpy(to, name);
	}
	if (text)
		*to = '\0';
	memory_free(&name);
	return text;
}

/* ---- the check ---- */

static bool fail(enum sqlstate state, struct error *error)
{
	return error_set(error, state, "%s", method_get(AUTH_LDAP)->refusal);
}

/* A step of ours did not work. What the server says of a bind is not shown: it knows the password.
 */
static bool fail_step(LDAP *ld, const char *step, int status, struct error *error)
{
	char *said = NULL, text[120];
	fail(SQLSTATE_SYSTEM_ERROR, error);
	error_detail(error, "%s: %s", step, ldap_err2string(status));
	if (ld && status < 0 &&
	    ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &said) == LDAP_OPT_SUCCESS && said) {
		if (*said)
			error_detail(error, " (%s)", text_printable(said, text, sizeof(text)));
		ldap_memfree(said);
	}
	return false;
}

static bool no_memory(struct error *error)
{
	fail(SQLSTATE_OUT_OF_MEMORY, error);
	return error_detail(error, "out of memory");
}

static bool refuse(struct error *error, const char *why)
{
	fail(SQLSTATE_INVALID_PASSWORD, error);
	return error_detail(error, "%s", why);
}

/* A connection, and until when what is asked on it must be answered.
 *
 * The library's own time limits end where TLS begins: a server that accepts and then is silent, or
 * stops within a record, would be waited for without end (and in the handshake with GnuTLS without
 * a pause, all processor time used). So each read and write goes through a layer of ours below TLS,
 * which waits no longer than that. */
struct connection {
	LDAP *ld;
	struct ldap_conncb callbacks;
	usec_t timeout, deadline;
};

static usec_t now(void)
{
	struct timespec time; /* not clock_now(): this is a thread */
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * USEC_PER_SECOND + time.tv_nsec / 1000;
}

static void restart_deadline(struct connection *connection)
{
	connection->deadline = now() + connection->timeout;
}

/* Wait until the descriptor is ready. False: the time is over, errno is set. */
static bool wait_ready(Sockbuf_IO_Desc *layer, short events)
{
	const struct connection *connection = layer->sbiod_pvt;
	struct pollfd poll_fd = {.events = events};
	int ready;
	ber_sockbuf_ctrl(layer->sbiod_sb, LBER_SB_OPT_GET_FD, &poll_fd.fd);
	do {
		usec_t left = connection->deadline - now();
		ready = poll(&poll_fd, 1, left > 0 ? (int)(left / USEC_PER_MSEC) + 1 : 0);
	} while (ready < 0 && errno == EINTR);
	if (ready == 0)
		errno = ETIMEDOUT;
	return ready > 0;
}

static int layer_setup(Sockbuf_IO_Desc *layer, void *argument)
{
	layer->sbiod_pvt = argument;
	return 0;
}

static int layer_control(Sockbuf_IO_Desc *layer, int option, void *argument)
{
	return LBER_SBIOD_CTRL_NEXT(layer, option, argument);
}

static ber_slen_t layer_read(Sockbuf_IO_Desc *layer, void *bytes, ber_len_t size)
{
	return wait_ready(layer, POLLIN) ? LBER_SBIOD_READ_NEXT(layer, bytes, size) : -1;
}

static ber_slen_t layer_write(Sockbuf_IO_Desc *layer, void *bytes, ber_len_t size)
{
	return wait_ready(layer, POLLOUT) ? LBER_SBIOD_WRITE_NEXT(layer, bytes, size) : -1;
}

static int connected(LDAP *ld, Sockbuf *socket, LDAPURLDesc *server, struct sockaddr *address,
		     struct ldap_conncb *callbacks)
{
	static Sockbuf_IO layer = {.sbi_setup = layer_setup,
				   .sbi_ctrl = layer_control,
				   .sbi_read = layer_read,
				   .sbi_write = layer_write};
	(void)ld, (void)server, (void)address;
	restart_deadline(callbacks->lc_arg);
	return ber_sockbuf_add_io(socket, &layer, LBER_SBIOD_LEVEL_PROVIDER + 1, callbacks->lc_arg);
}

static void disconnected(LDAP *ld, Sockbuf *socket, struct ldap_conncb *callbacks)
{
	(void)ld, (void)socket, (void)callbacks;
}

static void disconnect(struct connection *connection)
{
	if (connection->ld)
		ldap_unbind_ext_s(connection->ld, NULL, NULL);
	connection->ld = NULL;
}

static bool set_options(struct connection *connection)
{
	LDAP *ld = connection->ld;
	const int version = LDAP_VERSION3;
	const struct timeval timeout = {.tv_sec = connection->timeout / USEC_PER_SECOND,
					.tv_usec = connection->timeout % USEC_PER_SECOND};
	connection->callbacks = (struct ldap_conncb){
		.lc_add = connected, .lc_del = disconnected, .lc_arg = connection};
	/* Referrals would be followed without a name, to wherever the answer points. */
	return ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &timeout) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_TIMEOUT, &timeout) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_ON) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_CONNECT_CB, &connection->callbacks) == LDAP_OPT_SUCCESS;
}

/* A new connection; it is to be disconnected also after false. It stays where it is. */
static bool connect_to(const struct ldap_options *options, struct connection *connection,
		       struct error *error)
{
	*connection = (struct connection){.timeout = options->timeout};
	int status = ldap_initialize(&connection->ld, options->uris);
	if (status != LDAP_SUCCESS)
		return fail_step(NULL, "could not initialize LDAP", status, error);
	if (!set_options(connection))
		return fail_step(NULL, "could not set LDAP options", LDAP_OTHER, error);
	if (!options->start_tls)
		return true;
	status = ldap_start_tls_s(connection->ld, NULL, NULL);
	return status == LDAP_SUCCESS ||
	       fail_step(connection->ld, "could not start LDAP TLS session", status, error);
}

static int bind_as(struct connection *connection, const char *dn, const char *password)
{
	struct berval credentials = {.bv_val = (char *)password, .bv_len = strlen(password)};
	restart_deadline(connection);
	return ldap_sasl_bind_s(connection->ld, dn, LDAP_SASL_SIMPLE, &credentials, NULL, NULL,
				NULL);
}

/* Is it the user who is refused, or is it the directory that does not work? */
static bool is_refusal(int status)
{
	switch (status) {
	case LDAP_INVALID_CREDENTIALS:
	case LDAP_INAPPROPRIATE_AUTH:
	case LDAP_INVALID_DN_SYNTAX:
	case LDAP_NO_SUCH_OBJECT:
	case LDAP_INSUFFICIENT_ACCESS:
	case LDAP_CONSTRAINT_VIOLATION:
	case LDAP_UNWILLING_TO_PERFORM:
		return true;
	default:
		return false;
	}
}

/* On a connection of its own: nothing of the search is left on it. */
static bool bind_user(const struct ldap_options *options, const char *dn, const char *password,
		      struct error *error)
{
	struct connection connection;
	bool is_ok = connect_to(options, &connection, error);
	if (is_ok) {
		int status = bind_as(&connection, dn, password);
		is_ok = status == LDAP_SUCCESS ||
			(is_refusal(status) ? refuse(error, ldap_err2string(status))
					    : fail_step(connection.ld, "could not bind as the user",
							status, error));
	}
	disconnect(&connection);
	return is_ok;
}

/* The DN of the one entry in @result. Foreign memory, to be freed by ldap_memfree(). */
static bool take_dn(LDAP *ld, LDAPMessage *result, int status, char **dn, struct error *error)
{
	int count = result ? ldap_count_entries(ld, result) : 0;
	if (count > 1 || status == LDAP_SIZELIMIT_EXCEEDED)
		return refuse(error, "the search found more than one entry");
	if (status == LDAP_NO_SUCH_OBJECT || (status == LDAP_SUCCESS && count < 1))
		return refuse(error, "the search found no entry");
	if (status != LDAP_SUCCESS)
		return fail_step(ld, "could not search the directory", status, error);
	*dn = ldap_get_dn(ld, ldap_first_entry(ld, result));
	if (!*dn)
		return no_memory(error);
	/* A bind without a name is anonymous, and succeeds. */
	return **dn ? true : refuse(error, "the entry that was found has no name");
}

static bool search(struct connection *connection, const struct ldap_options *options,
		   const char *user, char **dn, struct error *error)
{
	char no_attributes[] = LDAP_NO_ATTRS, *attributes[] = {no_attributes, NULL};
	LDAPMessage *result = NULL;
	char *filter = make_filter(options, user);
	if (!filter)
		return no_memory(error);
	restart_deadline(connection);
	int status = ldap_search_ext_s(connection->ld, options->base_dn, options->scope, filter,
				       attributes, 0, NULL, NULL, NULL, 2, &result);
	bool is_ok = take_dn(connection->ld, result, status, dn, error);
	ldap_msgfree(result);
	memory_free(&filter);
	return is_ok;
}

static bool find_user(const struct ldap_options *options, const char *user, char **dn,
		      struct error *error)
{
	struct connection connection;
	bool is_ok = connect_to(options, &connection, error);
	if (is_ok) {
		int status = bind_as(&connection, options->bind_dn ? options->bind_dn : "",
				     options->bind_password ? options->bind_password : "");
		is_ok = status == LDAP_SUCCESS
				? search(&connection, options, user, dn, error)
				: fail_step(connection.ld, "could not bind for the search", status,
					    error);
	}
	disconnect(&connection);
	return is_ok;
}

bool ldap_check(const struct ldap_options *options, const char *user, const char *password,
		struct error *error)
{
	if (!*password)
		return refuse(error, "empty password returned by client");
	if (!*user)
		return refuse(error, "empty user name");
	if (options->prefix || options->suffix) {
		char *dn = make_dn(options, user);
		bool is_ok = dn ? bind_user(options, dn, password, error) : no_memory(error);
		memory_free(&dn);
		return is_ok;
	}
	char *found = NULL;
	bool is_ok = find_user(options, user, &found, error) &&
		     bind_user(options, found, password, error);
	ldap_memfree(found);
	return is_ok;
}

#else

bool ldap_check(const struct ldap_options *options, const char *user, const char *password,
		struct error *error)
{
	(void)options, (void)user, (void)password;
	return ldap_is_available(error);
}

#endif
