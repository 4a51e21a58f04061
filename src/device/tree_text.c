#include "device/tree_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_BYTES ((size_t)16 << 20)

/* Where the reading of a text stands. A text of n bytes has at most n / 2 + 1 lines and so entries,
 * and its files at most n bytes: both are known before the first line is read. */
struct reading {
    struct scree_text_tree *tree;
    struct scree_entry *file; /* that content lines belong to; NULL before the first */
    uint8_t *bytes;           /* where the next content goes */
    unsigned line;
    struct scree_error *err;
};

static int fail_line(const struct reading *reading, const char *what)
{
    return scree_fail(reading->err, EBADMSG, "line %u: %s", reading->line, what);
}

/* Splits line char[n], ended in place, at spaces. Returns how many words, at most `max`. */
static unsigned split(char *line, char **words, unsigned max)
{
    unsigned n = 0;

    for (char *at = line; *at && n < max;) {
        at += strspn(at, " ");
        if (!*at)
            break;
        words[n++] = at;
        at += strcspn(at, " ");
        if (*at)
            *at++ = '\0';
    }
    return n;
}

static bool parse_number(const char *text, int base, char end, const char **ret_end,
                         uint32_t *ret_value)
{
    char *after;
    unsigned long value;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    value = strtoul(text, &after, base);
    if (errno || value > UINT32_MAX || *after != end)
        return false;
    if (ret_end)
        *ret_end = after + 1;
    *ret_value = (uint32_t)value;
    return true;
}

static struct scree_entry *add_entry(struct reading *reading, enum scree_entry_kind kind,
                                     const char *path)
{
    struct scree_entry *entry = &reading->tree->entries[reading->tree->n_entries];

    *entry = (struct scree_entry){.kind = kind, .node.mode = 0644};
    entry->path = scree_arena_strndup(&reading->tree->arena, path, strlen(path));
    entry->bytes = reading->bytes;
    if (entry->path)
        reading->tree->n_entries++;
    return entry->path ? entry : NULL;
}

static int read_user(struct reading *reading, char **words, unsigned n)
{
    struct scree_user *user = &reading->tree->user;

    *user = (struct scree_user){0};
    if (n < 2 || !parse_number(words[1], 10, '\0', NULL, &user->uid))
        return fail_line(reading, "'user' wants the numbers of the user and the groups");
    for (unsigned i = 2; i < n; i++)
        if (!parse_number(words[i], 10, '\0', NULL, &user->groups[user->n_groups++]))
            return fail_line(reading, "'user' wants the numbers of the user and the groups");
    return 0;
}

static int open_code(const char *name)
{
    static const struct {
        const char *name;
        int code;
    } codes[] = {{"EPERM", EPERM},   {"EACCES", EACCES}, {"ENXIO", ENXIO},
                 {"ENODEV", ENODEV}, {"EIO", EIO},       {"EINVAL", EINVAL}};

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(name, codes[i].name) == 0)
            return -codes[i].code;
    return 0;
}

static int read_node(struct reading *reading, char **words, unsigned n)
{
    struct scree_entry *entry;
    struct scree_node node = {.is_device = true};
    const char *at;
    int open_rc = n > 5 ? open_code(words[5]) : 0;

    if (n < 5 || n > 6 || (n == 6 && open_rc == 0) ||
        !parse_number(words[2], 10, ':', &at, &node.major) ||
        !parse_number(at, 10, '\0', NULL, &node.minor) ||
        !parse_number(words[3], 8, '\0', NULL, &node.mode) || node.mode > 07777 ||
        !parse_number(words[4], 10, ':', &at, &node.uid) ||
        !parse_number(at, 10, '\0', NULL, &node.gid))
        return fail_line(reading, "'node' wants PATH MAJOR:MINOR MODE USER:GROUP [ERROR]");
    entry = add_entry(reading, SCREE_ENTRY_NODE, words[1]);
    if (!entry)
        return scree_fail_memory(reading->err, strlen(words[1]));
    entry->node = node;
    entry->open_rc = open_rc;
    return 0;
}

static int read_link(struct reading *reading, char **words, unsigned n)
{
    struct scree_entry *entry;

    if (n != 3)
        return fail_line(reading, "'link' wants PATH TARGET");
    entry = add_entry(reading, SCREE_ENTRY_LINK, words[1]);
    if (!entry)
        return scree_fail_memory(reading->err, strlen(words[1]));
    entry->n_bytes = strlen(words[2]);
    memcpy(entry->bytes, words[2], entry->n_bytes);
    reading->bytes += entry->n_bytes;
    return 0;
}

static int read_entry(struct reading *reading, char *line)
{
    char *words[2 + 64];
    unsigned n = split(line, words, sizeof words / sizeof words[0]);

    reading->file = NULL;
    if (n == 0)
        return 0;
    if (strcmp(words[0], "user") == 0)
        return read_user(reading, words, n);
    if (n < 2 || words[1][0] != '/' || strlen(words[1]) >= SCREE_TREE_PATH)
        return fail_line(reading, "an absolute path is wanted");
    if (strcmp(words[0], "node") == 0)
        return read_node(reading, words, n);
    if (strcmp(words[0], "link") == 0)
        return read_link(reading, words, n);
    if (n != 2 || (strcmp(words[0], "file") != 0 && strcmp(words[0], "dir") != 0))
        return fail_line(reading, "neither user, file, link, dir nor node");
    reading->file =
        add_entry(reading, words[0][0] == 'f' ? SCREE_ENTRY_FILE : SCREE_ENTRY_DIR, words[1]);
    if (!reading->file)
        return scree_fail_memory(reading->err, strlen(words[1]));
    if (reading->file->kind == SCREE_ENTRY_DIR)
        reading->file = NULL;
    return 0;
}

static int read_text_content(struct reading *reading, const char *text)
{
    for (; *text; text++) {
        uint8_t byte = (uint8_t)*text;

        if (byte == '\\') {
            text++;
            if (*text != '0' && *text != '\\')
                return fail_line(reading, "only \\0 and \\\\ are known");
            byte = *text == '0' ? 0 : '\\';
        }
        *reading->bytes++ = byte;
        reading->file->n_bytes++;
    }
    *reading->bytes++ = '\n';
    reading->file->n_bytes++;
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_hex_content(struct reading *reading, const char *text)
{
    for (; *text; text += 2) {
        int high = hex_digit(text[0]);
        int low = high < 0 ? -1 : hex_digit(text[1]);

        if (low < 0)
            return fail_line(reading, "'x' wants pairs of the digits 0-9 and a-f");
        *reading->bytes++ = (uint8_t)(high << 4 | low);
        reading->file->n_bytes++;
    }
    return 0;
}

static int read_line(struct reading *reading, char *line)
{
    bool text = line[0] == '|' && (line[1] == ' ' || line[1] == '\0');
    bool hex = line[0] == 'x' && line[1] == ' ';

    if (line[0] == '#')
        return 0;
    if (!text && !hex)
        return read_entry(reading, line);
    if (!reading->file)
        return fail_line(reading, "content of no file");
    return text ? read_text_content(reading, line[1] ? line + 2 : line + 1)
                : read_hex_content(reading, line + 2);
}

static unsigned count_lines(const char *text, size_t n)
{
    unsigned lines = 1;

    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    return lines;
}

int scree_text_tree_init(struct scree_text_tree *tree, const char *text, size_t n,
                         struct scree_error *err)
{
    struct reading reading = {.tree = tree, .err = err};
    char *copy;
    int rc = 0;

    *tree = (struct scree_text_tree){0};
    scree_arena_init(&tree->arena, LIMIT_BYTES + n * 8);
    copy = scree_arena_strndup(&tree->arena, text, n);
    /* A content line gains its line end, and loses at least the mark at its beginning. */
    reading.bytes = scree_arena_calloc(&tree->arena, n + 1, 1);
    tree->entries = scree_arena_new(&tree->arena, struct scree_entry, count_lines(text, n));
    if (!copy || !reading.bytes || !tree->entries)
        return scree_fail_memory(err, n);
    for (char *line = copy, *end; rc == 0 && line <= copy + n; line = end + 1) {
        end = memchr(line, '\n', (size_t)(copy + n - line));
        if (!end)
            end = copy + n;
        *end = '\0';
        reading.line++;
        if (strlen(line) != (size_t)(end - line))
            return fail_line(&reading, "a zero byte");
        rc = read_line(&reading, line);
    }
    return rc;
}

void scree_text_tree_done(struct scree_text_tree *tree)
{
    scree_arena_done(&tree->arena);
    *tree = (struct scree_text_tree){0};
}

const struct scree_entry *scree_text_tree_find(const struct scree_text_tree *tree, const char *path)
{
    for (uint32_t i = 0; i < tree->n_entries; i++)
        if (strcmp(tree->entries[i].path, path) == 0)
            return &tree->entries[i];
    return NULL;
}

const struct scree_entry *scree_text_tree_follow(const struct scree_text_tree *tree,
                                                 const char *path)
{
    const struct scree_entry *entry = scree_text_tree_find(tree, path);

    for (int steps = 0; steps < 8 && entry && entry->kind == SCREE_ENTRY_LINK; steps++) {
        char target[SCREE_TREE_PATH];

        if (entry->n_bytes == 0 || entry->bytes[0] != '/' || entry->n_bytes >= sizeof target)
            return entry;
        memcpy(target, entry->bytes, entry->n_bytes);
        target[entry->n_bytes] = '\0';
        entry = scree_text_tree_find(tree, target);
    }
    return entry;
}

static void add_name(struct scree_names *names, const char *name, size_t n, const char *part)
{
    if (n == 0 || n >= sizeof names->name[0] || names->n == SCREE_TREE_NAMES ||
        (part && !memmem(name, n, part, strlen(part))))
        return;
    for (uint32_t i = 0; i < names->n; i++)
        if (strncmp(names->name[i], name, n) == 0 && names->name[i][n] == '\0')
            return;
    memcpy(names->name[names->n], name, n);
    names->name[names->n++][n] = '\0';
}

int scree_text_tree_list(const struct scree_text_tree *tree, const char *path, const char *part,
                         struct scree_names *ret_names)
{
    size_t n = strlen(path);
    bool found = false;

    ret_names->n = 0;
    for (uint32_t i = 0; i < tree->n_entries; i++) {
        const char *other = tree->entries[i].path;

        if (strncmp(other, path, n) != 0)
            continue;
        found = found || other[n] == '/' || tree->entries[i].kind == SCREE_ENTRY_DIR;
        if (other[n] == '/')
            add_name(ret_names, other + n + 1, strcspn(other + n + 1, "/"), part);
    }
    return found ? 0 : -ENOENT;
}
