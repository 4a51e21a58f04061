/* Pictures to files; the encoders are beside the decoders. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "media/image.h"

#define JPEG_QUALITY 90

static int write_and_free(const char *path, uint8_t *bytes, size_t n_bytes, struct scree_error *err)
{
    int rc = scree_file_write(path, bytes, n_bytes, err);

    free(bytes);
    return rc;
}

int scree_image_write_png(const struct scree_image *image, const char *path,
                          struct scree_error *err)
{
    uint8_t *bytes;
    size_t n_bytes;
    int rc = scree_image_encode_png(image, &bytes, &n_bytes, err);

    return rc < 0 ? scree_wrap(err, rc, "%s", path) : write_and_free(path, bytes, n_bytes, err);
}

int scree_image_write_jpeg(const struct scree_image *image, int quality, const char *path,
                           struct scree_error *err)
{
    uint8_t *bytes;
    size_t n_bytes;
    int rc = scree_image_encode_jpeg(image, quality, &bytes, &n_bytes, err);

    return rc < 0 ? scree_wrap(err, rc, "%s", path) : write_and_free(path, bytes, n_bytes, err);
}

static bool ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path), n_ending = strlen(ending);

    return n >= n_ending && strcasecmp(path + n - n_ending, ending) == 0;
}

int scree_image_check_name(const char *path, struct scree_error *err)
{
    if (ends_in(path, ".png") || ends_in(path, ".jpg") || ends_in(path, ".jpeg"))
        return 0;
    return scree_fail(err, EINVAL, "%s: the name must end in .png, .jpg or .jpeg", path);
}

int scree_image_write(const struct scree_image *image, const char *path, struct scree_error *err)
{
    int rc = scree_image_check_name(path, err);

    if (rc < 0)
        return rc;
    if (ends_in(path, ".png"))
        return scree_image_write_png(image, path, err);
    return scree_image_write_jpeg(image, JPEG_QUALITY, path, err);
}
