#include "net/multipart.h"

#include <string.h>
#include <strings.h>

#define MAX_BOUNDARY 70

static struct scree_span skip(struct scree_span span, size_t n)
{
    return (struct scree_span){span.bytes + n, span.n - n};
}

static bool begins_with(struct scree_span span, const char *text, size_t n)
{
    return span.n >= n && memcmp(span.bytes, text, n) == 0;
}

/* ---- headers with parameters: type; name=value; name="value" ---- */

static struct scree_span trim(struct scree_span span)
{
    while (span.n > 0 && (span.bytes[0] == ' ' || span.bytes[0] == '\t'))
        span = skip(span, 1);
    while (span.n > 0 && (span.bytes[span.n - 1] == ' ' || span.bytes[span.n - 1] == '\t'))
        span.n--;
    return span;
}

/* How many bytes there are before an unquoted `end`, or all. */
static size_t length_until(struct scree_span span, char end)
{
    bool quoted = false;
    size_t i = 0;

    for (; i < span.n && (quoted || span.bytes[i] != end); i++) {
        if (span.bytes[i] == '"')
            quoted = !quoted;
        else if (quoted && span.bytes[i] == '\\' && i + 1 < span.n)
            i++;
    }
    return i;
}

/* The value of parameter `name` of a header, without its quotes; false if it has none. */
static bool find_parameter(struct scree_span header, const char *name, struct scree_span *ret)
{
    size_t n = length_until(header, ';'), n_name = strlen(name);

    while (n < header.n) {
        struct scree_span parameter;
        size_t equals;

        header = skip(header, n + 1);
        n = length_until(header, ';');
        parameter = trim((struct scree_span){header.bytes, n});
        equals = length_until(parameter, '=');
        if (equals != n_name || equals == parameter.n ||
            strncasecmp((const char *)parameter.bytes, name, n_name) != 0)
            continue;
        *ret = trim(skip(parameter, equals + 1));
        if (ret->n >= 2 && ret->bytes[0] == '"' && ret->bytes[ret->n - 1] == '"')
            *ret = (struct scree_span){ret->bytes + 1, ret->n - 2};
        return true;
    }
    return false;
}

bool scree_multipart_is(const char *content_type)
{
    static const char type[] = "multipart/form-data";

    return content_type && strncasecmp(content_type, type, sizeof type - 1) == 0;
}

/* ---- parts ---- */

/* Where "\r\n--boundary" begins in the span, or its length if it does not. */
static size_t find_delimiter(const struct scree_multipart *form, struct scree_span span)
{
    const uint8_t *at = span.bytes, *end;
    size_t n = form->boundary.n;

    if (span.n == 0) /* and maybe bytes are NULL */
        return 0;
    end = at + span.n;
    while ((size_t)(end - at) >= n + 4) {
        at = memchr(at, '\r', (size_t)(end - at) - n - 3);
        if (!at)
            break;
        if (memcmp(at, "\r\n--", 4) == 0 && memcmp(at + 4, form->boundary.bytes, n) == 0)
            return (size_t)(at - span.bytes);
        at++;
    }
    return span.n;
}

int scree_multipart_init(struct scree_multipart *form, const char *content_type, uint32_t max_parts,
                         const uint8_t *body, size_t n, struct scree_error *err)
{
    struct scree_span header = {(const uint8_t *)content_type, strlen(content_type)};
    struct scree_span rest = {body, n};

    *form = (struct scree_multipart){.max_parts = max_parts};
    if (!find_parameter(header, "boundary", &form->boundary) || form->boundary.n < 1 ||
        form->boundary.n > MAX_BOUNDARY)
        return scree_fail(err, EBADMSG, "Content-Type has no boundary");
    /* What stands before the first delimiter does not count; usually nothing does. */
    if (begins_with(rest, "--", 2) && rest.n >= 2 + form->boundary.n &&
        memcmp(rest.bytes + 2, form->boundary.bytes, form->boundary.n) == 0) {
        form->rest = skip(rest, 2 + form->boundary.n);
        return 0;
    }
    n = find_delimiter(form, rest);
    if (n == rest.n)
        return scree_fail(err, EBADMSG, "the body does not have the boundary of its Content-Type");
    form->rest = skip(rest, n + 4 + form->boundary.n);
    return 0;
}

static void read_header(struct scree_part *part, struct scree_span line)
{
    size_t n = length_until(line, ':');
    struct scree_span value;

    if (n == line.n)
        return;
    value = trim(skip(line, n + 1));
    if (n == 19 && strncasecmp((const char *)line.bytes, "Content-Disposition", n) == 0) {
        (void)find_parameter(value, "name", &part->name);
        part->has_filename = find_parameter(value, "filename", &part->filename);
    } else if (n == 12 && strncasecmp((const char *)line.bytes, "Content-Type", n) == 0) {
        part->content_type = value;
    }
}

/* Reads the header lines at the beginning of the span, up to an empty one. */
static int read_headers(struct scree_part *part, struct scree_span *rest, struct scree_error *err)
{
    for (;;) {
        const uint8_t *end = rest->n > 0 ? memchr(rest->bytes, '\r', rest->n) : NULL;
        struct scree_span line = {rest->bytes, end ? (size_t)(end - rest->bytes) : 0};

        if (!end || rest->n < line.n + 2 || end[1] != '\n')
            return scree_fail(err, EBADMSG, "the header of a part is cut off");
        *rest = skip(*rest, line.n + 2);
        if (line.n == 0)
            return 0;
        read_header(part, line);
    }
}

int scree_multipart_next(struct scree_multipart *form, struct scree_part *ret_part,
                         struct scree_error *err)
{
    struct scree_part part = {0};
    struct scree_span rest = form->rest;
    int rc;

    if (begins_with(rest, "--", 2))
        return 0;
    while (rest.n > 0 && (rest.bytes[0] == ' ' || rest.bytes[0] == '\t'))
        rest = skip(rest, 1);
    if (!begins_with(rest, "\r\n", 2))
        return scree_fail(err, EBADMSG, "the body is cut off");
    if (form->n_parts++ == form->max_parts)
        return scree_fail(err, E2BIG, "over %u parts", form->max_parts);
    rest = skip(rest, 2);
    rc = read_headers(&part, &rest, err);
    if (rc < 0)
        return rc;
    if (!part.name.bytes)
        return scree_fail(err, EBADMSG, "a part has no name");
    /* An empty part: the delimiter's line break is the header's. */
    part.data = (struct scree_span){rest.bytes, find_delimiter(form, rest)};
    if (part.data.n == rest.n)
        return scree_fail(err, EBADMSG, "the body is cut off");
    form->rest = skip(rest, part.data.n + 4 + form->boundary.n);
    *ret_part = part;
    return 1;
}
