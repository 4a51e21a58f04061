#include "serve/ini.h"

#include <string.h>

#include "base/text.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct scree_ini_text trim(const char *at, size_t n)
{
    while (n > 0 && is_blank(at[0])) {
        at++;
        n--;
    }
    while (n > 0 && is_blank(at[n - 1]))
        n--;
    return (struct scree_ini_text){at, n};
}

/* Cuts the next line off, without its end; false at the end of the text. */
static bool cut_line(struct scree_ini *ini, struct scree_ini_text *ret)
{
    static const char mark[] = "\xef\xbb\xbf"; /* that some editors put in front */
    const char *end;
    size_t n;

    if (ini->line == 0 && ini->n >= 3 && memcmp(ini->text, mark, 3) == 0) {
        ini->text += 3;
        ini->n -= 3;
    }
    if (ini->n == 0)
        return false;
    end = memchr(ini->text, '\n', ini->n);
    n = end ? (size_t)(end - ini->text) : ini->n;
    *ret = (struct scree_ini_text){ini->text, n};
    if (n > 0 && ini->text[n - 1] == '\r')
        ret->n--;
    ini->text += n + (end != NULL);
    ini->n -= n + (end != NULL);
    ini->line++;
    return true;
}

static int read_section(struct scree_ini *ini, struct scree_ini_text line, struct scree_error *err)
{
    if (line.at[line.n - 1] != ']')
        return scree_fail(err, EBADMSG, "a section ends with ']'");
    ini->section = trim(line.at + 1, line.n - 2);
    return ini->section.n > 0 ? 1 : scree_fail(err, EBADMSG, "a section has a name");
}

static int read_pair(struct scree_ini_text line, struct scree_ini_line *ret,
                     struct scree_error *err)
{
    const char *equals = memchr(line.at, '=', line.n);

    if (!equals)
        return scree_fail(err, EBADMSG, "'key = value' is wanted, or '[section]'");
    ret->key = trim(line.at, (size_t)(equals - line.at));
    ret->value = trim(equals + 1, (size_t)(line.at + line.n - equals - 1));
    return ret->key.n > 0 ? 1 : scree_fail(err, EBADMSG, "there is no key before '='");
}

/* Tabs are as good as spaces in the middle of a value; other controls are no text. */
static bool is_text(struct scree_ini_text line)
{
    while (line.n > 0) {
        const char *tab = memchr(line.at, '\t', line.n);
        size_t n = tab ? (size_t)(tab - line.at) : line.n;

        if (!scree_text_is_safe(line.at, n))
            return false;
        line.at += n + (tab != NULL);
        line.n -= n + (tab != NULL);
    }
    return true;
}

int scree_ini_next(struct scree_ini *ini, struct scree_ini_line *ret_line, struct scree_error *err)
{
    struct scree_ini_text line;
    int rc;

    while (cut_line(ini, &line)) {
        if (line.n > SCREE_INI_MAX_LINE)
            return scree_fail(err, E2BIG, "the line is longer than %d bytes", SCREE_INI_MAX_LINE);
        if (!is_text(line))
            return scree_fail(err, EBADMSG, "the line is not UTF-8 text");
        line = trim(line.at, line.n);
        if (line.n == 0 || line.at[0] == '#' || line.at[0] == ';')
            continue;
        *ret_line = (struct scree_ini_line){.key = {line.at, 0}, .value = {line.at, 0}};
        rc = line.at[0] == '[' ? read_section(ini, line, err) : read_pair(line, ret_line, err);
        ret_line->section = ini->section;
        return rc;
    }
    return 0;
}
