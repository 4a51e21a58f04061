/* What a model packs beside its graph: TFLITE_METADATA, a FlatBuffer that describes inputs and
 * outputs and names files, and the archive at the end of the file that holds these.
 *
 * Source: metadata_schema.fbs of TensorFlow Lite Support (schema version 1.5). */
#include <string.h>

#include "base/text.h"
#include "model/flatbuffer.h"
#include "model/reader.h"
#include "model/zip.h"

/* Slots of the tables, and the kinds of file that hold labels. */
enum { MODEL_SUBGRAPHS = 3, MODEL_FILES = 6 };
enum { SUBGRAPH_OUTPUTS = 3, SUBGRAPH_FILES = 4 };
enum { TENSOR_FILES = 6 };
enum { FILE_NAME = 0, FILE_TYPE = 2 };
enum { TYPE_AXIS_LABELS = 2, TYPE_VALUE_LABELS = 3 };

#define METADATA_NAME "TFLITE_METADATA"
#define WORK_FACTOR   64
#define NAME_BYTES    64

/* A file name as char[n], not terminated; text NULL for none. */
struct name {
    const char *text;
    size_t n;
};

/* The first file of labels in the AssociatedFile vector of a slot. */
static bool find_labels(const struct scree_fb_table *table, unsigned slot, struct name *ret_name)
{
    struct scree_fb_vector files = scree_fb_get_vector(table, slot, 4);

    for (uint32_t i = 0; i < files.n; i++) {
        struct scree_fb_table file = scree_fb_table_at(&files, i);
        uint8_t type = scree_fb_get_u8(&file, FILE_TYPE, 0);

        if (type != TYPE_AXIS_LABELS && type != TYPE_VALUE_LABELS)
            continue;
        ret_name->text = scree_fb_get_string(&file, FILE_NAME, &ret_name->n);
        if (ret_name->text)
            return true;
    }
    return false;
}

/* The labels of the outputs, in order; else of the subgraph; else of the model. */
static void find_output_labels(struct scree_fb *fb, struct name *ret_name)
{
    struct scree_fb_table model = scree_fb_root(fb);
    struct scree_fb_vector subgraphs = scree_fb_get_vector(&model, MODEL_SUBGRAPHS, 4);
    struct scree_fb_table subgraph = {0};
    struct scree_fb_vector outputs;

    if (subgraphs.n > 0)
        subgraph = scree_fb_table_at(&subgraphs, 0);
    outputs = scree_fb_get_vector(&subgraph, SUBGRAPH_OUTPUTS, 4);
    for (uint32_t i = 0; i < outputs.n; i++) {
        struct scree_fb_table tensor = scree_fb_table_at(&outputs, i);

        if (find_labels(&tensor, TENSOR_FILES, ret_name))
            return;
    }
    if (!find_labels(&subgraph, SUBGRAPH_FILES, ret_name))
        (void)find_labels(&model, MODEL_FILES, ret_name);
}

/* The name that the metadata gives the label file; none if there is no metadata or none in it. */
static int read_label_name(const struct scree_graph *graph, struct name *ret_name,
                           struct scree_error *err)
{
    *ret_name = (struct name){0};
    for (uint32_t i = 0; i < graph->n_metadata; i++) {
        const struct scree_metadata *metadata = &graph->metadata[i];
        struct scree_fb fb;
        int rc;

        if (metadata->n_bytes == 0 || strcmp(metadata->name, METADATA_NAME) != 0)
            continue;
        scree_fb_init(&fb, metadata->bytes, metadata->n_bytes, WORK_FACTOR * metadata->n_bytes);
        find_output_labels(&fb, ret_name);
        rc = scree_fb_status(&fb, err);
        return rc < 0 ? scree_wrap(err, rc, METADATA_NAME) : 0;
    }
    return 0;
}

static bool has_name(const struct scree_zip_member *member, struct name name)
{
    return member->n_name == name.n && memcmp(member->name, name.text, name.n) == 0;
}

static bool is_text(const struct scree_zip_member *member)
{
    return member->n_name > 4 && memcmp(member->name + member->n_name - 4, ".txt", 4) == 0;
}

/* What a search through the archive found. */
struct search {
    struct scree_zip_member named, text;
    unsigned n_named, n_texts; /* texts: members called *.txt */
};

static int search_archive(const struct scree_zip *zip, struct name name, struct search *ret_search,
                          struct scree_error *err)
{
    struct scree_zip_member member;
    size_t cursor = 0;
    int rc;

    *ret_search = (struct search){0};
    while ((rc = scree_zip_next(zip, &cursor, &member, err)) > 0) {
        if (name.text && ret_search->n_named == 0 && has_name(&member, name)) {
            ret_search->named = member;
            ret_search->n_named = 1;
        }
        if (is_text(&member)) {
            ret_search->text = member;
            ret_search->n_texts++;
        }
    }
    return rc;
}

static int read_member(const struct scree_zip *zip, const struct scree_zip_member *member,
                       struct scree_arena *arena, const uint8_t **ret_bytes, size_t *ret_n_bytes,
                       struct scree_error *err)
{
    const uint8_t *bytes;
    char name[NAME_BYTES] = "", quoted[NAME_BYTES];
    int rc = scree_zip_read(zip, member, arena, &bytes, err);

    if (rc < 0) {
        size_t n = member->n_name < sizeof name ? member->n_name : sizeof name - 1;

        memcpy(name, member->name, n);
        scree_text_make_safe(name, n);
        return scree_wrap(err, rc, "packed file %s", scree_text_quote(name, quoted, sizeof quoted));
    }
    *ret_bytes = bytes;
    *ret_n_bytes = member->n_bytes;
    return 0;
}

int scree_graph_file(const struct scree_graph *graph, const char *name, struct scree_arena *arena,
                     const uint8_t **ret_bytes, size_t *ret_n_bytes, struct scree_error *err)
{
    struct name wanted = {name, name ? strlen(name) : 0};
    struct search search;
    struct scree_zip zip;
    char quoted[NAME_BYTES];
    int rc = scree_zip_open(graph->file, graph->n_file, &zip, err);

    if (rc == 0 && !name)
        rc = read_label_name(graph, &wanted, err);
    if (rc == 0)
        rc = search_archive(&zip, wanted, &search, err);
    if (rc < 0)
        return rc;
    if (search.n_named > 0)
        return read_member(&zip, &search.named, arena, ret_bytes, ret_n_bytes, err);
    if (!name && search.n_texts == 1)
        return read_member(&zip, &search.text, arena, ret_bytes, ret_n_bytes, err);
    if (name)
        return scree_fail(err, ENOENT, "no packed file %s",
                          scree_text_quote(name, quoted, sizeof quoted));
    return scree_fail(err, ENOENT, "no label file among the packed files");
}
