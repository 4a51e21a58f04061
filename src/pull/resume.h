/* pull/resume.h - what a fetch that ended early leaves to the next one, beside the bytes.
 *
 *     the URL
 *     the ETag that the server gave, or nothing
 *     the kernel's name for the time since the machine started
 *     the length of the whole file in bytes, 0 if it is not known
 *
 * A line each, in a file of its own. Whoever can write the folder can write that file, and a disk
 * that was full or a machine that went down leaves any piece of one: what is not of this form to
 * its last byte says nothing. The ETag goes into a request, so it is no more than an ETag can be.
 *
 * Pure. Memory: none. Threads: no state. */
#ifndef SCREE_PULL_RESUME_H
#define SCREE_PULL_RESUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for the texts, with their ends. */
#define SCREE_RESUME_URL  2048
#define SCREE_RESUME_ETAG 256
#define SCREE_RESUME_BOOT 40 /* a UUID as text, and some */
#define SCREE_RESUME_TEXT (SCREE_RESUME_URL + SCREE_RESUME_ETAG + SCREE_RESUME_BOOT + 32)

struct scree_resume {
    char url[SCREE_RESUME_URL], etag[SCREE_RESUME_ETAG], boot[SCREE_RESUME_BOOT];
    uint64_t total; /* 0: not known */
};

/* Reads text, which ends with a zero byte, into *ret. Returns false, and leaves *ret undefined, if
 * it is not what scree_resume_print() makes. */
bool scree_resume_parse(const char *text, struct scree_resume *ret);

/* Writes it into text char[SCREE_RESUME_TEXT]. Returns its length. */
size_t scree_resume_print(const struct scree_resume *resume, char *text);

/* Whether text is a strong entity tag, with its quotes, that fits. Source: RFC 9110, 8.8.3. */
bool scree_etag_is_valid(const char *text);

#endif
