/* delegate/abi.h - what a TensorFlow Lite delegate sees of its host, byte for byte.
 *
 * A delegate is a shared library that was compiled against TensorFlow Lite's C structs and gets
 * pointers to them. These are the same structs for a 64-bit machine, restated, with the offset of
 * every field checked by the compiler. Fields that TensorFlow Lite added in one release or another
 * are told as such; what lies behind a struct's end here is never read.
 *
 * Source: tensorflow/lite/core/c/common.h and builtin_op_data.h of TensorFlow Lite 2.13 to 2.17 and
 * of LiteRT of August 2026, which agree in all that is here.
 * Memory: none. Threads: no state. */
#ifndef SCREE_DELEGATE_ABI_H
#define SCREE_DELEGATE_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Results of calls: TfLiteStatus. */
enum scree_tfl_status { SCREE_TFL_OK = 0, SCREE_TFL_ERROR = 1 };

/* Where a tensor's bytes are: TfLiteAllocationType. */
enum scree_tfl_allocation { SCREE_TFL_CONSTANT = 1, SCREE_TFL_ACTIVATION = 2 };

/* TfLiteQuantizationType. */
enum scree_tfl_quantization_kind { SCREE_TFL_NOT_QUANTIZED = 0, SCREE_TFL_AFFINE = 1 };

/* TfLitePadding, which counts from 1. */
enum scree_tfl_padding { SCREE_TFL_SAME = 1, SCREE_TFL_VALID = 2 };

/* The number of the operator that stands for nodes left to a delegate: kTfLiteBuiltinDelegate. */
#define SCREE_TFL_OP_DELEGATE 51

/* What init returns to say that it failed: TfLiteKernelInitFailed(). */
#define SCREE_TFL_INIT_FAILED ((void *)(intptr_t)-1)

/* TfLiteIntArray: data s32[size]. */
struct scree_tfl_ints {
    int size;
    int data[];
};

/* TfLiteFloatArray: data f32[size]. */
struct scree_tfl_floats {
    int size;
    float data[];
};

/* TfLiteAffineQuantization. */
struct scree_tfl_affine {
    struct scree_tfl_floats *scale;
    struct scree_tfl_ints *zero_point;
    int32_t quantized_dimension;
};

/* TfLiteQuantization. */
struct scree_tfl_quantization {
    int type;
    void *params;
};

/* TfLiteQuantizationParams: the older form, of one scale. */
struct scree_tfl_scale {
    float scale;
    int32_t zero_point;
};

struct scree_tfl_delegate;

/* TfLiteTensor. */
struct scree_tfl_tensor {
    int type; /* enum scree_type: the numbers are the same for those that a delegate is given */
    void *data;
    struct scree_tfl_ints *dims;
    struct scree_tfl_scale params;
    int allocation_type;
    size_t bytes;
    const void *allocation;
    const char *name;
    struct scree_tfl_delegate *delegate;
    int buffer_handle; /* -1: none */
    bool data_is_stale;
    bool is_variable;
    struct scree_tfl_quantization quantization;
    void *sparsity;
    const struct scree_tfl_ints *dims_signature;
};

/* TfLiteNode. */
struct scree_tfl_node {
    struct scree_tfl_ints *inputs;
    struct scree_tfl_ints *outputs;
    struct scree_tfl_ints *intermediates;
    struct scree_tfl_ints *temporaries;
    void *user_data;
    void *builtin_data;
    const void *custom_initial_data;
    int custom_initial_data_size;
    struct scree_tfl_delegate *delegate;
    bool might_have_side_effect;
};

struct scree_tfl_context;

/* TfLiteRegistration, up to where its oldest form ends. Newer ones have up to 24 bytes more; a
 * delegate passes its own by value, and how much of it there is depends on what it was compiled
 * against. */
struct scree_tfl_registration {
    void *(*init)(struct scree_tfl_context *context, const char *buffer, size_t length);
    void (*free)(struct scree_tfl_context *context, void *buffer);
    int (*prepare)(struct scree_tfl_context *context, struct scree_tfl_node *node);
    int (*invoke)(struct scree_tfl_context *context, struct scree_tfl_node *node);
    const char *(*profiling_string)(const struct scree_tfl_context *context,
                                    const struct scree_tfl_node *node);
    int32_t builtin_code;
    const char *custom_name;
    int version;
};

/* The registration of a node as a delegate may read it: with the fields of the newest form, all
 * zero. */
struct scree_tfl_node_registration {
    struct scree_tfl_registration head;
    void *registration_external;
    void *async_kernel;
    uint64_t inplace_operator;
};

/* TfLiteDelegate. */
struct scree_tfl_delegate {
    void *data;
    int (*prepare)(struct scree_tfl_context *context, struct scree_tfl_delegate *delegate);
    int (*copy_from_buffer_handle)(struct scree_tfl_context *context,
                                   struct scree_tfl_delegate *delegate, int handle,
                                   struct scree_tfl_tensor *tensor);
    int (*copy_to_buffer_handle)(struct scree_tfl_context *context,
                                 struct scree_tfl_delegate *delegate, int handle,
                                 struct scree_tfl_tensor *tensor);
    void (*free_buffer_handle)(struct scree_tfl_context *context,
                               struct scree_tfl_delegate *delegate, int *handle);
    int64_t flags;
    void *opaque_delegate_builder;
};

/* TfLiteDelegateParams: what init gets as its buffer. */
struct scree_tfl_delegate_params {
    struct scree_tfl_delegate *delegate;
    struct scree_tfl_ints *nodes_to_replace;
    struct scree_tfl_ints *input_tensors;
    struct scree_tfl_ints *output_tensors;
};

/* TfLiteContext. The last two functions came with 2.14. */
struct scree_tfl_context {
    size_t tensors_size;
    int (*get_execution_plan)(struct scree_tfl_context *context, struct scree_tfl_ints **plan);
    struct scree_tfl_tensor *tensors;
    void *impl;
    int (*resize_tensor)(struct scree_tfl_context *context, struct scree_tfl_tensor *tensor,
                         struct scree_tfl_ints *size);
    void (*report_error)(struct scree_tfl_context *context, const char *format, ...);
    int (*add_tensors)(struct scree_tfl_context *context, int n, int *first);
    int (*get_node_and_registration)(struct scree_tfl_context *context, int index,
                                     struct scree_tfl_node **node,
                                     struct scree_tfl_registration **registration);
    int (*replace_node_subsets_with_delegate_kernels)(struct scree_tfl_context *context,
                                                      struct scree_tfl_registration registration,
                                                      const struct scree_tfl_ints *nodes,
                                                      struct scree_tfl_delegate *delegate);
    int recommended_num_threads;
    void *(*get_external_context)(struct scree_tfl_context *context, int type);
    void (*set_external_context)(struct scree_tfl_context *context, int type, void *external);
    bool allow_fp32_relax_to_fp16;
    void *profiler;
    void *(*allocate_persistent_buffer)(struct scree_tfl_context *context, size_t bytes);
    int (*allocate_buffer_for_eval)(struct scree_tfl_context *context, size_t bytes, void **buffer);
    int (*request_scratch_buffer_in_arena)(struct scree_tfl_context *context, size_t bytes,
                                           int *index);
    void *(*get_scratch_buffer)(struct scree_tfl_context *context, int index);
    int (*resize_tensor_explicit)(struct scree_tfl_context *context,
                                  struct scree_tfl_tensor *tensor, int n_dims, const int *dims);
    int (*preview_delegate_partitioning)(struct scree_tfl_context *context,
                                         const struct scree_tfl_ints *nodes,
                                         struct scree_tfl_delegate_params **params, int *n);
    struct scree_tfl_tensor *(*get_tensor)(const struct scree_tfl_context *context, int index);
    void *(*get_eval_tensor)(const struct scree_tfl_context *context, int index);
    int (*get_model_metadata)(const struct scree_tfl_context *context, const char *name,
                              const char **data, size_t *bytes);
    int (*acquire_subgraph_context)(struct scree_tfl_context *context, int index,
                                    struct scree_tfl_context **subgraph);
    int (*release_subgraph_context)(struct scree_tfl_context *context, int index);
};

/* TfLiteConvParams. */
struct scree_tfl_conv {
    int padding;
    int stride_width;
    int stride_height;
    int activation;
    int dilation_width;
    int dilation_height;
    int quantized_bias_type;
};

/* TfLiteDepthwiseConvParams. */
struct scree_tfl_depthwise {
    int padding;
    int stride_width;
    int stride_height;
    int depth_multiplier;
    int activation;
    int dilation_width;
    int dilation_height;
};

/* The functions that the library exports. */
typedef struct scree_tfl_delegate *scree_tfl_create_fn(char **keys, char **values, size_t n,
                                                       void (*report_error)(const char *text));
typedef void scree_tfl_destroy_fn(struct scree_tfl_delegate *delegate);

#define SCREE_TFL_AT(type, field, offset) \
    _Static_assert(offsetof(struct type, field) == (offset), #type "." #field)
#define SCREE_TFL_SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)

_Static_assert(sizeof(void *) == 8 && sizeof(size_t) == 8 && sizeof(int) == 4, "LP64");
SCREE_TFL_AT(scree_tfl_ints, size, 0);
SCREE_TFL_AT(scree_tfl_ints, data, 4);
SCREE_TFL_AT(scree_tfl_floats, size, 0);
SCREE_TFL_AT(scree_tfl_floats, data, 4);
SCREE_TFL_AT(scree_tfl_affine, scale, 0);
SCREE_TFL_AT(scree_tfl_affine, zero_point, 8);
SCREE_TFL_AT(scree_tfl_affine, quantized_dimension, 16);
SCREE_TFL_AT(scree_tfl_quantization, type, 0);
SCREE_TFL_AT(scree_tfl_quantization, params, 8);
SCREE_TFL_AT(scree_tfl_scale, scale, 0);
SCREE_TFL_AT(scree_tfl_scale, zero_point, 4);
SCREE_TFL_AT(scree_tfl_tensor, type, 0);
SCREE_TFL_AT(scree_tfl_tensor, data, 8);
SCREE_TFL_AT(scree_tfl_tensor, dims, 16);
SCREE_TFL_AT(scree_tfl_tensor, params, 24);
SCREE_TFL_AT(scree_tfl_tensor, allocation_type, 32);
SCREE_TFL_AT(scree_tfl_tensor, bytes, 40);
SCREE_TFL_AT(scree_tfl_tensor, allocation, 48);
SCREE_TFL_AT(scree_tfl_tensor, name, 56);
SCREE_TFL_AT(scree_tfl_tensor, delegate, 64);
SCREE_TFL_AT(scree_tfl_tensor, buffer_handle, 72);
SCREE_TFL_AT(scree_tfl_tensor, data_is_stale, 76);
SCREE_TFL_AT(scree_tfl_tensor, is_variable, 77);
SCREE_TFL_AT(scree_tfl_tensor, quantization, 80);
SCREE_TFL_AT(scree_tfl_tensor, sparsity, 96);
SCREE_TFL_AT(scree_tfl_tensor, dims_signature, 104);
SCREE_TFL_SIZE(scree_tfl_tensor, 112);
SCREE_TFL_AT(scree_tfl_node, inputs, 0);
SCREE_TFL_AT(scree_tfl_node, outputs, 8);
SCREE_TFL_AT(scree_tfl_node, intermediates, 16);
SCREE_TFL_AT(scree_tfl_node, temporaries, 24);
SCREE_TFL_AT(scree_tfl_node, user_data, 32);
SCREE_TFL_AT(scree_tfl_node, builtin_data, 40);
SCREE_TFL_AT(scree_tfl_node, custom_initial_data, 48);
SCREE_TFL_AT(scree_tfl_node, custom_initial_data_size, 56);
SCREE_TFL_AT(scree_tfl_node, delegate, 64);
SCREE_TFL_AT(scree_tfl_node, might_have_side_effect, 72);
SCREE_TFL_SIZE(scree_tfl_node, 80);
SCREE_TFL_AT(scree_tfl_registration, init, 0);
SCREE_TFL_AT(scree_tfl_registration, free, 8);
SCREE_TFL_AT(scree_tfl_registration, prepare, 16);
SCREE_TFL_AT(scree_tfl_registration, invoke, 24);
SCREE_TFL_AT(scree_tfl_registration, profiling_string, 32);
SCREE_TFL_AT(scree_tfl_registration, builtin_code, 40);
SCREE_TFL_AT(scree_tfl_registration, custom_name, 48);
SCREE_TFL_AT(scree_tfl_registration, version, 56);
SCREE_TFL_SIZE(scree_tfl_registration, 64);
SCREE_TFL_AT(scree_tfl_node_registration, registration_external, 64);
SCREE_TFL_AT(scree_tfl_node_registration, async_kernel, 72);
SCREE_TFL_AT(scree_tfl_node_registration, inplace_operator, 80);
SCREE_TFL_SIZE(scree_tfl_node_registration, 88);
SCREE_TFL_AT(scree_tfl_delegate, data, 0);
SCREE_TFL_AT(scree_tfl_delegate, prepare, 8);
SCREE_TFL_AT(scree_tfl_delegate, copy_from_buffer_handle, 16);
SCREE_TFL_AT(scree_tfl_delegate, copy_to_buffer_handle, 24);
SCREE_TFL_AT(scree_tfl_delegate, free_buffer_handle, 32);
SCREE_TFL_AT(scree_tfl_delegate, flags, 40);
SCREE_TFL_AT(scree_tfl_delegate, opaque_delegate_builder, 48);
SCREE_TFL_SIZE(scree_tfl_delegate, 56);
SCREE_TFL_AT(scree_tfl_delegate_params, delegate, 0);
SCREE_TFL_AT(scree_tfl_delegate_params, nodes_to_replace, 8);
SCREE_TFL_AT(scree_tfl_delegate_params, input_tensors, 16);
SCREE_TFL_AT(scree_tfl_delegate_params, output_tensors, 24);
SCREE_TFL_SIZE(scree_tfl_delegate_params, 32);
SCREE_TFL_AT(scree_tfl_context, tensors_size, 0);
SCREE_TFL_AT(scree_tfl_context, get_execution_plan, 8);
SCREE_TFL_AT(scree_tfl_context, tensors, 16);
SCREE_TFL_AT(scree_tfl_context, impl, 24);
SCREE_TFL_AT(scree_tfl_context, resize_tensor, 32);
SCREE_TFL_AT(scree_tfl_context, report_error, 40);
SCREE_TFL_AT(scree_tfl_context, add_tensors, 48);
SCREE_TFL_AT(scree_tfl_context, get_node_and_registration, 56);
SCREE_TFL_AT(scree_tfl_context, replace_node_subsets_with_delegate_kernels, 64);
SCREE_TFL_AT(scree_tfl_context, recommended_num_threads, 72);
SCREE_TFL_AT(scree_tfl_context, get_external_context, 80);
SCREE_TFL_AT(scree_tfl_context, set_external_context, 88);
SCREE_TFL_AT(scree_tfl_context, allow_fp32_relax_to_fp16, 96);
SCREE_TFL_AT(scree_tfl_context, profiler, 104);
SCREE_TFL_AT(scree_tfl_context, allocate_persistent_buffer, 112);
SCREE_TFL_AT(scree_tfl_context, allocate_buffer_for_eval, 120);
SCREE_TFL_AT(scree_tfl_context, request_scratch_buffer_in_arena, 128);
SCREE_TFL_AT(scree_tfl_context, get_scratch_buffer, 136);
SCREE_TFL_AT(scree_tfl_context, resize_tensor_explicit, 144);
SCREE_TFL_AT(scree_tfl_context, preview_delegate_partitioning, 152);
SCREE_TFL_AT(scree_tfl_context, get_tensor, 160);
SCREE_TFL_AT(scree_tfl_context, get_eval_tensor, 168);
SCREE_TFL_AT(scree_tfl_context, get_model_metadata, 176);
SCREE_TFL_AT(scree_tfl_context, acquire_subgraph_context, 184);
SCREE_TFL_AT(scree_tfl_context, release_subgraph_context, 192);
SCREE_TFL_SIZE(scree_tfl_context, 200);
SCREE_TFL_AT(scree_tfl_conv, padding, 0);
SCREE_TFL_AT(scree_tfl_conv, stride_width, 4);
SCREE_TFL_AT(scree_tfl_conv, stride_height, 8);
SCREE_TFL_AT(scree_tfl_conv, activation, 12);
SCREE_TFL_AT(scree_tfl_conv, dilation_width, 16);
SCREE_TFL_AT(scree_tfl_conv, dilation_height, 20);
SCREE_TFL_AT(scree_tfl_conv, quantized_bias_type, 24);
SCREE_TFL_AT(scree_tfl_depthwise, padding, 0);
SCREE_TFL_AT(scree_tfl_depthwise, stride_width, 4);
SCREE_TFL_AT(scree_tfl_depthwise, stride_height, 8);
SCREE_TFL_AT(scree_tfl_depthwise, depth_multiplier, 12);
SCREE_TFL_AT(scree_tfl_depthwise, activation, 16);
SCREE_TFL_AT(scree_tfl_depthwise, dilation_width, 20);
SCREE_TFL_AT(scree_tfl_depthwise, dilation_height, 24);

#endif
