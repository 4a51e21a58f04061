/* Operators that move, pick and search data: what they refuse, and why. Their results are compared
 * with TFLite's in tests/ops. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <scree/scree.h>

#include "kernels/resize.h"
#include "support/tflite_writer.h"

#define MAX_INPUTS  4
#define MAX_OUTPUTS 2

/* An input: constant if it has values (all are int32), else fed with zeros. */
struct input {
    bool used;
    enum scree_type type;
    struct scree_shape shape;
    const int32_t *values; /* s32[elements] */
};

struct refusal {
    const char *text; /* that the error has in it */
    int32_t opcode;
    union scree_options options;
    struct input inputs[MAX_INPUTS]; /* up to the first that is not used */
    enum scree_type outputs[MAX_OUTPUTS];
    uint32_t n_outputs; /* 0: one */
    int rc;             /* 0: -EBADMSG */
    bool in_run;        /* the session is made, but its run is refused */
};

#define F32 SCREE_TYPE_FLOAT32
#define I32 SCREE_TYPE_INT32
#define I16 SCREE_TYPE_INT16
#define SHAPE(...)                                          \
    {                                                       \
        sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t), \
        {                                                   \
            __VA_ARGS__                                     \
        }                                                   \
    }
#define FED(...)                            \
    {                                       \
        true, F32, SHAPE(__VA_ARGS__), NULL \
    }
#define INDEX(...)                                                                              \
    {                                                                                           \
        true, I32, {1, {sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)}}, (const int32_t[]) \
        {                                                                                       \
            __VA_ARGS__                                                                         \
        }                                                                                       \
    }
#define PAIRS(...)                                                                   \
    {                                                                                \
        true, I32, {2, {sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t) / 2, 2}}, \
            (const int32_t[])                                                        \
        {                                                                            \
            __VA_ARGS__                                                              \
        }                                                                            \
    }

static const struct refusal refusals[] = {
    {"a fused activation", SCREE_OP_CONCATENATION,
     .options.concatenation = {.activation = SCREE_ACTIVATION_RELU}, .inputs = {FED(2), FED(2)},
     .rc = -ENOTSUP},
    {"axis 2", SCREE_OP_CONCATENATION, .options.concatenation = {.axis = 2},
     .inputs = {FED(2, 2), FED(2, 2)}},
    {"input 1 is of shape 3x2", SCREE_OP_CONCATENATION, .options.concatenation = {.axis = -1},
     .inputs = {FED(2, 2), FED(3, 2)}},
    {"3 inputs", SCREE_OP_PACK, .options.pack = {.values_count = 2},
     .inputs = {FED(2), FED(2), FED(2)}},
    {"different shapes", SCREE_OP_PACK, .options.pack = {.values_count = 2},
     .inputs = {FED(2), FED(3)}},
    {"more than 8 dimensions", SCREE_OP_PACK, .options.pack = {.values_count = 1},
     .inputs = {FED(1, 1, 1, 1, 1, 1, 1, 1)}},
    {"1 outputs, the options say 2", SCREE_OP_SPLIT, .options.split = {.num_splits = 2},
     .inputs = {INDEX(0), FED(4)}},
    {"not a multiple of 2", SCREE_OP_SPLIT, .options.split = {.num_splits = 2},
     .inputs = {INDEX(0), FED(3)}, .n_outputs = 2},
    {"axis -2", SCREE_OP_SPLIT, .options.split = {.num_splits = 2}, .inputs = {INDEX(-2), FED(4)},
     .n_outputs = 2},
    {"more than one size is -1", SCREE_OP_SPLIT_V, .options.split_v = {.num_splits = 2},
     .inputs = {FED(4), INDEX(-1, -1), INDEX(0)}, .n_outputs = 2},
    {"parts of 5 elements in all, of 4", SCREE_OP_SPLIT_V, .options.split_v = {.num_splits = 2},
     .inputs = {FED(4), INDEX(2, 3), INDEX(0)}, .n_outputs = 2},
    {"a part of -2", SCREE_OP_SPLIT_V, .options.split_v = {.num_splits = 2},
     .inputs = {FED(4), INDEX(-2, 3), INDEX(0)}, .n_outputs = 2},
    {"the options say 2", SCREE_OP_UNPACK, .options.unpack = {.num = 2}, .inputs = {FED(3)},
     .n_outputs = 2},
    {"3 elements from 2 of dimension 0", SCREE_OP_SLICE, .inputs = {FED(4), INDEX(2), INDEX(3)}},
    {"-2 elements", SCREE_OP_SLICE, .inputs = {FED(4), INDEX(2), INDEX(-2)}},
    {"from -1", SCREE_OP_SLICE, .inputs = {FED(4), INDEX(-1), INDEX(2)}},
    {"list of begins is of shape 2", SCREE_OP_SLICE, .inputs = {FED(4), INDEX(0, 0), INDEX(2)}},
    {"stride 0 is 0", SCREE_OP_STRIDED_SLICE, .inputs = {FED(4), INDEX(0), INDEX(4), INDEX(0)}},
    {"picks nothing of 4", SCREE_OP_STRIDED_SLICE, .options.strided_slice = {.shrink_axis_mask = 1},
     .inputs = {FED(4), INDEX(4), INDEX(5), INDEX(1)}},
    {"picks nothing of 4", SCREE_OP_STRIDED_SLICE, .options.strided_slice = {.shrink_axis_mask = 1},
     .inputs = {FED(4), INDEX(2), INDEX(1), INDEX(-1)}},
    {"more than one ellipsis", SCREE_OP_STRIDED_SLICE,
     .options.strided_slice = {.ellipsis_mask = 3},
     .inputs = {FED(4), INDEX(0, 0), INDEX(1, 1), INDEX(1, 1)}},
    {"is of shape 2, not a vector of 1", SCREE_OP_STRIDED_SLICE,
     .inputs = {FED(4), INDEX(0), INDEX(4), INDEX(1, 1)}},
    {"the update has 5 elements", SCREE_OP_DYNAMIC_UPDATE_SLICE,
     .inputs = {FED(4), FED(5), INDEX(0)}},
    {"paddings are of shape 1x2, not 2x2", SCREE_OP_PAD, .inputs = {FED(4, 4), PAIRS(0, 0)}},
    {"paddings of -1 and 0", SCREE_OP_PAD, .inputs = {FED(4), PAIRS(-1, 0)}},
    {"a dimension of 2147483651", SCREE_OP_PAD, .inputs = {FED(4), PAIRS(INT32_MAX, 0)}},
    {"over 2147483647", SCREE_OP_PAD, .inputs = {FED(4, 4), PAIRS(1 << 30, 0, 1 << 30, 0)},
     .rc = -E2BIG},
    {"2 elements, not one", SCREE_OP_PADV2, .inputs = {FED(4), PAIRS(1, 1), FED(2)}},
    {"paddings of 4 and 0", SCREE_OP_MIRROR_PAD,
     .options.mirror_pad = {.mode = SCREE_MIRROR_REFLECT}, .inputs = {FED(4), PAIRS(4, 0)}},
    {"paddings of 0 and 5", SCREE_OP_MIRROR_PAD,
     .options.mirror_pad = {.mode = SCREE_MIRROR_SYMMETRIC}, .inputs = {FED(4), PAIRS(0, 5)}},
    {"axis 0 twice", SCREE_OP_TRANSPOSE, .inputs = {FED(2, 2), INDEX(0, -2)}},
    {"axis 2", SCREE_OP_TRANSPOSE, .inputs = {FED(2, 2), INDEX(0, 2)}},
    {"axis 1 twice", SCREE_OP_REVERSE_V2, .inputs = {FED(2, 2), INDEX(1, 1)}, .in_run = true},
    {"sequences along axis 1 of batches along axis 1", SCREE_OP_REVERSE_SEQUENCE,
     .options.reverse_sequence = {1, 1}, .inputs = {FED(2, 2), INDEX(1, 1)}},
    {"sequence 1 is 3 long, of 2", SCREE_OP_REVERSE_SEQUENCE, .options.reverse_sequence = {1, 0},
     .inputs = {FED(2, 2), INDEX(1, 3)}, .in_run = true},
    {"dimension 0 -1 times", SCREE_OP_TILE, .inputs = {FED(4), INDEX(-1)}},
    {"a dimension of 8589934588", SCREE_OP_TILE, .inputs = {FED(4), INDEX(INT32_MAX)}},
    {"4 elements made 5", SCREE_OP_BROADCAST_TO, .inputs = {FED(4), INDEX(2, 5)}},
    {"a shape of 1 dimensions for a tensor of 2", SCREE_OP_BROADCAST_TO,
     .inputs = {FED(1, 1), INDEX(1)}},
    {"do not fit together", SCREE_OP_BROADCAST_ARGS, .inputs = {INDEX(2, 3), INDEX(2)},
     .outputs = {I32}},
    {"not a whole number of blocks", SCREE_OP_SPACE_TO_DEPTH,
     .options.space_to_depth = {.block_size = 2}, .inputs = {FED(1, 4, 3, 1)}},
    {"blocks of 0", SCREE_OP_DEPTH_TO_SPACE, .inputs = {FED(1, 4, 3, 1)}},
    {"not a whole number of blocks", SCREE_OP_DEPTH_TO_SPACE,
     .options.depth_to_space = {.block_size = 2}, .inputs = {FED(1, 4, 3, 6)}},
    {"not a whole number of blocks", SCREE_OP_SPACE_TO_BATCH_ND,
     .inputs = {FED(1, 4, 1), INDEX(3), PAIRS(0, 1)}},
    {"not a multiple of 3", SCREE_OP_BATCH_TO_SPACE_ND,
     .inputs = {FED(4, 4, 1), INDEX(3), PAIRS(0, 0)}},
    {"-1 pixels", SCREE_OP_BATCH_TO_SPACE_ND, .inputs = {FED(2, 4, 1), INDEX(2), PAIRS(4, 5)}},
    {"blocks of 0", SCREE_OP_BATCH_TO_SPACE_ND, .inputs = {FED(2, 4, 1), INDEX(0), PAIRS(0, 0)}},
    {"index 4 of 4", SCREE_OP_GATHER, .inputs = {FED(4), INDEX(0, 4)}, .in_run = true},
    {"index -1 of 4", SCREE_OP_GATHER, .inputs = {FED(4), INDEX(-1)}, .in_run = true},
    {"2 batch dimensions before axis 1", SCREE_OP_GATHER,
     .options.gather = {.axis = 1, .batch_dims = 2}, .inputs = {FED(2, 2), PAIRS(0, 0, 0, 0)}},
    {"index 2 of 2", SCREE_OP_GATHER_ND, .inputs = {FED(3, 2), PAIRS(2, 2)}, .in_run = true},
    {"last dimension 2, into rank 1", SCREE_OP_GATHER_ND, .inputs = {FED(4), PAIRS(0, 0)}},
    {"index 3 of 3", SCREE_OP_SCATTER_ND, .inputs = {PAIRS(0, 3), FED(1), INDEX(2, 3)},
     .in_run = true},
    {"has 2 elements, not 3", SCREE_OP_SCATTER_ND,
     .inputs = {{true, I32, SHAPE(1, 1), NULL}, FED(1, 2), INDEX(2, 3)}},
    {"index 5 of 4", SCREE_OP_EMBEDDING_LOOKUP, .inputs = {INDEX(5), FED(4, 2)}, .in_run = true},
    {"the options say int64", SCREE_OP_ARG_MAX,
     .options.arg_max = {.output_type = SCREE_TYPE_INT64}, .inputs = {FED(4), INDEX(0)},
     .outputs = {I32}},
    {"no elements along axis 0", SCREE_OP_ARG_MAX, .options.arg_max = {.output_type = I32},
     .inputs = {FED(0), INDEX(0)}, .outputs = {I32}},
    {"the first 5 of 4", SCREE_OP_TOPK_V2, .inputs = {FED(4), INDEX(5)}, .outputs = {F32, I32},
     .n_outputs = 2},
    {"int16 cannot hold", SCREE_OP_TOPK_V2, .inputs = {FED(40000), INDEX(5)}, .outputs = {F32, I16},
     .n_outputs = 2},
    {"the condition is a scalar", SCREE_OP_WHERE, .inputs = {{true, F32, {0}, NULL}},
     .outputs = {SCREE_TYPE_INT64}},
    {"the input is of rank 2", SCREE_OP_UNIQUE, .inputs = {FED(2, 2)}, .outputs = {F32, I32},
     .n_outputs = 2},
    {"do not lead to the limit", SCREE_OP_RANGE, .inputs = {INDEX(0), INDEX(5), INDEX(-1)},
     .outputs = {I32}},
    {"do not lead to the limit", SCREE_OP_RANGE, .inputs = {INDEX(0), INDEX(5), INDEX(0)},
     .outputs = {I32}},
    {"over 2147483647", SCREE_OP_RANGE, .inputs = {INDEX(INT32_MIN), INDEX(INT32_MAX), INDEX(1)},
     .outputs = {I32}, .rc = -E2BIG},
    {"a dimension of -1", SCREE_OP_FILL, .inputs = {INDEX(-1), FED(1)}},
    {"axis 2 for indices of rank 1", SCREE_OP_ONE_HOT, .options.one_hot = {.axis = 2},
     .inputs = {INDEX(1), INDEX(3), FED(1), FED(1)}},
    {"a dimension of -3", SCREE_OP_ONE_HOT, .options.one_hot = {.axis = -1},
     .inputs = {INDEX(1), INDEX(-3), FED(1), FED(1)}},
    {"diagonals of 3 elements, not 2", SCREE_OP_MATRIX_SET_DIAG, .inputs = {FED(2, 3), FED(3)}},
    {"the diagonal is a scalar", SCREE_OP_MATRIX_DIAG, .inputs = {{true, F32, {0}, NULL}}},
    {"filter size 0", SCREE_OP_MAX_POOL_2D, .options.pool2d = {.stride_w = 1, .stride_h = 1},
     .inputs = {FED(1, 4, 4, 1)}},
    {"of rank 3, not 4", SCREE_OP_AVERAGE_POOL_2D, .options.pool2d = {0, 1, 1, 1, 1},
     .inputs = {FED(1, 4, 4)}},
    {"both align_corners", SCREE_OP_RESIZE_BILINEAR,
     .options.resize_bilinear = {.align_corners = true, .half_pixel_centers = true},
     .inputs = {FED(1, 4, 4, 1), INDEX(2, 2)}},
    {"a new size of 0", SCREE_OP_RESIZE_BILINEAR, .inputs = {FED(1, 4, 4, 1), INDEX(0, 2)}},
    {"a picture of 0x4 pixels made larger", SCREE_OP_RESIZE_NEAREST_NEIGHBOR,
     .inputs = {FED(1, 0, 4, 1), INDEX(2, 2)}},
    {"a dimension of -2", SCREE_OP_RESIZE_NEAREST_NEIGHBOR,
     .inputs = {FED(1, 4, 4, 1), INDEX(-2, 2)}},
};

#define N_REFUSALS (sizeof refusals / sizeof refusals[0])

/* The row's operator as a model: its fed inputs are the model's inputs. */
static struct tw *write_model(const struct refusal *row)
{
    struct tw *tw = tw_new();
    int32_t inputs[MAX_INPUTS], fed[MAX_INPUTS], outputs[MAX_OUTPUTS];
    struct scree_i32s in = {0, inputs}, ports = {0, fed};
    struct scree_i32s out = {row->n_outputs ? row->n_outputs : 1, outputs};

    for (int i = 0; i < MAX_INPUTS && row->inputs[i].used; i++) {
        const struct input *input = &row->inputs[i];
        size_t bytes = scree_shape_elements(&input->shape) * sizeof(int32_t);

        if (input->values)
            inputs[i] = tw_constant(tw, "index", input->type, input->shape, input->values, bytes);
        else
            fed[ports.n++] = inputs[i] = tw_tensor(tw, "fed", input->type, input->shape);
        in.n++;
    }
    for (uint32_t i = 0; i < out.n; i++)
        outputs[i] = tw_tensor(tw, "out", row->outputs[i], TW_SHAPE(1));
    tw_node(tw, row->opcode, in, out, &row->options);
    tw_ports(tw, ports, out);
    return tw;
}

/* Makes a session and runs it once. *ret_ran: it came to a run. */
static int make_and_run(const uint8_t *bytes, size_t n_bytes, bool *ret_ran,
                        struct scree_error *err)
{
    struct scree_session_options options = {.n_threads = 1};
    struct scree_model *model = NULL;
    struct scree_session *session = NULL;
    int rc = scree_model_open_memory(bytes, n_bytes, &model, err);

    *ret_ran = false;
    if (rc == 0)
        rc = scree_session_new(model, &options, &session, err);
    if (rc == 0) {
        *ret_ran = true;
        for (uint32_t i = 0; i < scree_session_n_inputs(session); i++) {
            struct scree_tensor tensor;

            assert_int_equal(scree_session_input(session, i, &tensor), 0);
            if (tensor.bytes > 0)
                memset(tensor.data, 0, tensor.bytes);
        }
        rc = scree_session_run(session, err);
    }
    scree_session_free(session);
    scree_model_unref(model);
    return rc;
}

static void test_refusals(void **state)
{
    int n_failed = 0;

    (void)state;
    for (size_t i = 0; i < N_REFUSALS; i++) {
        const struct refusal *row = &refusals[i];
        struct tw *tw = write_model(row);
        struct scree_error err = {""};
        size_t n_bytes;
        const uint8_t *bytes = tw_finish(tw, &n_bytes);
        bool ran;
        int rc = make_and_run(bytes, n_bytes, &ran, &err);

        if (rc != (row->rc ? row->rc : -EBADMSG) || ran != row->in_run ||
            !strstr(err.text, row->text)) {
            print_error("row %zu, '%s': %d%s, '%s'\n", i, row->text, rc, ran ? " in the run" : "",
                        err.text);
            n_failed++;
        }
        tw_free(tw);
    }
    assert_int_equal(n_failed, 0);
}

/* One of the options of TFLite_Detection_PostProcess changed, and what is said then. */
static const struct {
    const char *key;
    double value;
    const char *text;
} wrong_options[] = {
    {"max_detections", 0, "max_detections is 0"},
    {"max_detections", 1e9, "over 2147483647 elements"},
    {"max_detections", 2e9, "4000000000 detections"},
    {"max_classes_per_detection", -1, "max_classes_per_detection is -1"},
    {"detections_per_class", 0, "detections_per_class is 0"},
    {"num_classes", 0, "num_classes is 0"},
    {"num_classes", 1, "scores of 3 classes, the options say 1"},
    {"num_classes", 4, "scores of 3 classes, the options say 4"},
    {"nms_iou_threshold", 0, "nms_iou_threshold is 0"},
    {"nms_iou_threshold", 1.5, "nms_iou_threshold is 1.5"},
};

#define N_WRONG_OPTIONS (sizeof wrong_options / sizeof wrong_options[0])

/* A detection of n boxes, 3 classes (one the background) and n_anchors anchors, with one option
 * changed if `key` is not NULL. */
static struct tw *write_detection(int32_t n, int32_t n_anchors, const char *key, double value)
{
    struct tw_option options[] = {
        {"max_detections", TW_INT, 10},         {"max_classes_per_detection", TW_INT, 2},
        {"detections_per_class", TW_INT, 5},    {"num_classes", TW_INT, 2},
        {"nms_score_threshold", TW_FLOAT, 0.5}, {"nms_iou_threshold", TW_FLOAT, 0.5},
        {"use_regular_nms", TW_BOOL, 1},
    };
    uint32_t n_options = sizeof options / sizeof options[0];
    struct tw *tw = tw_new();
    int32_t boxes = tw_tensor(tw, "boxes", F32, TW_SHAPE(1, n, 4));
    int32_t scores = tw_tensor(tw, "scores", F32, TW_SHAPE(1, n, 3));
    int32_t anchors = tw_tensor(tw, "anchors", F32, TW_SHAPE(n_anchors, 4));
    int32_t out[4];
    size_t n_bytes;
    const uint8_t *bytes;

    for (uint32_t i = 0; i < n_options; i++)
        if (key && strcmp(options[i].key, key) == 0)
            options[i].value = value;
    for (int i = 0; i < 4; i++)
        out[i] = tw_tensor(tw, "out", F32, TW_SHAPE(1));
    bytes = tw_flexmap(tw, options, n_options, &n_bytes);
    tw_custom(tw, "TFLite_Detection_PostProcess", TW_LIST(boxes, scores, anchors),
              (struct scree_i32s){4, out}, bytes, n_bytes);
    tw_ports(tw, TW_LIST(boxes, scores, anchors), (struct scree_i32s){4, out});
    return tw;
}

/* 0, or the error of a session and a run of what the writer holds, which is freed. */
static int run_and_free(struct tw *tw, struct scree_error *err)
{
    size_t n_bytes;
    const uint8_t *bytes = tw_finish(tw, &n_bytes);
    bool ran;
    int rc = make_and_run(bytes, n_bytes, &ran, err);

    tw_free(tw);
    return rc;
}

static void test_wrong_options_of_a_detection(void **state)
{
    struct scree_error err;

    (void)state;
    assert_int_equal(run_and_free(write_detection(3, 3, NULL, 0), &err), 0);
    for (size_t i = 0; i < N_WRONG_OPTIONS; i++) {
        int rc =
            run_and_free(write_detection(3, 3, wrong_options[i].key, wrong_options[i].value), &err);

        if (rc == 0 || !strstr(err.text, wrong_options[i].text))
            fail_msg("%s = %g: %d, '%s'", wrong_options[i].key, wrong_options[i].value, rc,
                     err.text);
    }
}

static void test_a_detection_of_nothing(void **state)
{
    struct scree_error err;

    (void)state;
    assert_int_equal(run_and_free(write_detection(0, 0, NULL, 0), &err), 0);
    assert_int_equal(run_and_free(write_detection(3, 2, NULL, 0), &err), -EBADMSG);
    assert_non_null(strstr(err.text, "the anchors are not of shape 3x4"));
}

/* The last of so many pixels has a number that no float has; the next that one has is behind it. */
static void test_the_last_of_many_pixels(void **state)
{
    enum { N = (1 << 25) + 4 };
    const struct scree_resizing down = {1, N, 1, 1, 2, 1, true, false};
    const struct scree_resizing right = {1, 1, N, 1, 1, 2, true, false};
    uint8_t *picture = calloc(N + 1, 1), out[2] = {0};

    (void)state;
    assert_non_null(picture);
    picture[N - 1] = 77;
    picture[N] = 200; /* is no pixel */
    scree_resize_bilinear_u8(&down, picture, out, 0);
    scree_resize_bilinear_u8(&down, picture, out, 1);
    assert_int_equal(out[0], 0);
    assert_int_equal(out[1], 77);
    scree_resize_bilinear_u8(&right, picture, out, 0);
    assert_int_equal(out[0], 0);
    assert_int_equal(out[1], 77);
    free(picture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_wrong_options_of_a_detection),
        cmocka_unit_test(test_a_detection_of_nothing),
        cmocka_unit_test(test_the_last_of_many_pixels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
