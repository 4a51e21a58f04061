#include "pull/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "pull/beneath.h"

#define MAX_MEMBERS 10000
#define BLOCK       65536

struct unpacking {
    struct archive *archive;
    const char *member;
    uint64_t left; /* bytes that may still be unpacked */
    int to;
    char taken[256]; /* the member that was written, "" before */
};

bool scree_is_archive(int fd)
{
    uint8_t head[4], kind[5];

    if (pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head)
        return false;
    if (pread(fd, kind, sizeof kind, 257) == (ssize_t)sizeof kind && memcmp(kind, "ustar", 5) == 0)
        return true;
    return (head[0] == 0x1f && head[1] == 0x8b) || memcmp(head, "PK\3\4", 4) == 0;
}

/* Whether the name, taken as a path, would be outside of the folder it is unpacked in. */
static bool leads_out(const char *name)
{
    if (name[0] == '/')
        return true;
    for (const char *at = name; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (strncmp(at, "..", 2) == 0 && (at[2] == '\0' || at[2] == '/'))
            return true;
    }
    return false;
}

static bool is_wanted(const struct unpacking *unpacking, const char *name)
{
    size_t n = strlen(name);

    if (unpacking->member)
        return strcmp(name, unpacking->member) == 0;
    return n > 7 && strcmp(name + n - 7, ".tflite") == 0;
}

static int fail_archive(const struct unpacking *unpacking, struct scree_error *err)
{
    const char *text = archive_error_string(unpacking->archive);
    char quoted[120];

    return scree_fail(err, EBADMSG, "the archive is damaged: %s",
                      scree_text_quote(text ? text : "unknown", quoted, sizeof quoted));
}

/* Reads the member that the archive stands at, and writes it if it is wanted. */
static int read_member(struct unpacking *unpacking, bool wanted, struct scree_error *err)
{
    char block[BLOCK];
    la_ssize_t n;

    while ((n = archive_read_data(unpacking->archive, block, sizeof block)) > 0) {
        if ((uint64_t)n > unpacking->left)
            return scree_fail(err, E2BIG, "the archive holds more than the limit (--max-size)");
        unpacking->left -= (uint64_t)n;
        if (wanted && scree_beneath_write(unpacking->to, block, (size_t)n) < 0)
            return scree_fail(err, EIO, "unpacking: %s", strerror(errno));
    }
    return n < 0 ? fail_archive(unpacking, err) : 0;
}

static int take_member(struct unpacking *unpacking, struct archive_entry *entry,
                       struct scree_error *err)
{
    const char *name = archive_entry_pathname(entry);
    char quoted[100];
    bool wanted;

    name = name ? name : "";
    if (strncmp(name, "./", 2) == 0)
        name += 2;
    if (leads_out(name))
        return scree_fail(err, EBADMSG, "the archive has a name that leads out of it: %s",
                          scree_text_quote(name, quoted, sizeof quoted));
    wanted = archive_entry_filetype(entry) == AE_IFREG && !archive_entry_hardlink(entry) &&
             is_wanted(unpacking, name);
    if (wanted && *unpacking->taken)
        return scree_fail(err, EBADMSG, "the archive has more than one model, %s too: say which%s",
                          scree_text_quote(name, quoted, sizeof quoted),
                          unpacking->member ? "" : " (--member)");
    if (wanted)
        (void)snprintf(unpacking->taken, sizeof unpacking->taken, "%s", name);
    return read_member(unpacking, wanted, err);
}

static int take_all(struct unpacking *unpacking, struct scree_error *err)
{
    struct archive_entry *entry;
    char quoted[100];

    for (int i = 0; i < MAX_MEMBERS; i++) {
        int got = archive_read_next_header(unpacking->archive, &entry), rc;

        if (got == ARCHIVE_EOF && !*unpacking->taken)
            return scree_fail(err, ENOENT, "the archive has no %s",
                              scree_text_quote(unpacking->member ? unpacking->member : ".tflite",
                                               quoted, sizeof quoted));
        if (got == ARCHIVE_EOF)
            return 0;
        if (got < ARCHIVE_WARN)
            return fail_archive(unpacking, err);
        rc = take_member(unpacking, entry, err);
        if (rc < 0)
            return rc;
    }
    return scree_fail(err, E2BIG, "the archive has more than %d members", MAX_MEMBERS);
}

int scree_unpack(int fd, const char *member, uint64_t max_bytes, int to, struct scree_error *err)
{
    struct unpacking unpacking = {archive_read_new(), member, max_bytes, to, ""};
    int rc;

    if (!unpacking.archive)
        return scree_fail(err, ENOMEM, "no memory to unpack with");
    if (lseek(fd, 0, SEEK_SET) < 0)
        rc = scree_fail(err, EIO, "the archive: %s", strerror(errno));
    else if (archive_read_support_filter_gzip(unpacking.archive) < ARCHIVE_WARN ||
             archive_read_support_format_tar(unpacking.archive) < ARCHIVE_WARN ||
             archive_read_support_format_zip(unpacking.archive) < ARCHIVE_WARN ||
             archive_read_open_fd(unpacking.archive, fd, BLOCK) < ARCHIVE_WARN)
        rc = fail_archive(&unpacking, err);
    else
        rc = take_all(&unpacking, err);
    archive_read_free(unpacking.archive);
    return rc;
}
