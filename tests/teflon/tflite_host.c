/* TensorFlow Lite itself as the delegate's host, through its C interface, which is loaded: nothing
 * of it is needed to build this.
 *
 * usage: tflite_host LIBTENSORFLOW-LITE LIBTEFLON MODEL INPUT OUTPUT
 *
 * Runs MODEL once on the bytes of INPUT and writes the bytes of its first output. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delegate/abi.h"

/* The functions of tensorflow/lite/c/c_api.h that are used, with opaque pointers. */
static struct {
    void *(*model_create)(const char *path);
    void *(*options_create)(void);
    void (*options_add_delegate)(void *options, void *delegate);
    void *(*interpreter_create)(const void *model, const void *options);
    int (*allocate)(void *interpreter);
    struct scree_tfl_tensor *(*input)(const void *interpreter, int32_t index);
    const struct scree_tfl_tensor *(*output)(const void *interpreter, int32_t index);
    int (*invoke)(void *interpreter);
    void (*interpreter_delete)(void *interpreter);
} api;

static int load(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);

    if (!found)
        return fprintf(stderr, "%s is missing\n", name), 1;
    memcpy(function, &found, sizeof found);
    return 0;
}

static int load_api(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);

    if (!library)
        return fprintf(stderr, "%s\n", dlerror()), 1;
    return load(library, "TfLiteModelCreateFromFile", &api.model_create) ||
           load(library, "TfLiteInterpreterOptionsCreate", &api.options_create) ||
           load(library, "TfLiteInterpreterOptionsAddDelegate", &api.options_add_delegate) ||
           load(library, "TfLiteInterpreterCreate", &api.interpreter_create) ||
           load(library, "TfLiteInterpreterAllocateTensors", &api.allocate) ||
           load(library, "TfLiteInterpreterGetInputTensor", &api.input) ||
           load(library, "TfLiteInterpreterGetOutputTensor", &api.output) ||
           load(library, "TfLiteInterpreterInvoke", &api.invoke) ||
           load(library, "TfLiteInterpreterDelete", &api.interpreter_delete);
}

static int move_bytes(const char *path, const char *mode, void *bytes, size_t n)
{
    FILE *file = fopen(path, mode);
    size_t done;

    if (!file)
        return perror(path), 1;
    done = mode[0] == 'r' ? fread(bytes, 1, n, file) : fwrite(bytes, 1, n, file);
    if (fclose(file) != 0 || done != n)
        return fprintf(stderr, "%s: %zu of %zu bytes\n", path, done, n), 1;
    return 0;
}

static int run(void *interpreter, const char *in_path, const char *out_path)
{
    const struct scree_tfl_tensor *out;
    struct scree_tfl_tensor *in;

    if (!interpreter || api.allocate(interpreter) != SCREE_TFL_OK)
        return fprintf(stderr, "TensorFlow Lite cannot make the model ready\n"), 1;
    in = api.input(interpreter, 0);
    if (move_bytes(in_path, "rb", in->data, in->bytes))
        return 1;
    if (api.invoke(interpreter) != SCREE_TFL_OK)
        return fprintf(stderr, "TensorFlow Lite cannot run the model\n"), 1;
    out = api.output(interpreter, 0);
    return move_bytes(out_path, "wb", out->data, out->bytes);
}

int main(int argc, char **argv)
{
    scree_tfl_create_fn *create;
    scree_tfl_destroy_fn *destroy;
    struct scree_tfl_delegate *delegate;
    void *library, *options, *interpreter;
    int rc;

    if (argc != 6)
        return fprintf(stderr, "usage: tflite_host TFLITE TEFLON MODEL INPUT OUTPUT\n"), 2;
    library = dlopen(argv[2], RTLD_NOW);
    if (!library)
        return fprintf(stderr, "%s\n", dlerror()), 1;
    if (load_api(argv[1]) || load(library, "tflite_plugin_create_delegate", &create) ||
        load(library, "tflite_plugin_destroy_delegate", &destroy))
        return 1;
    delegate = create(NULL, NULL, 0, NULL);
    if (!delegate)
        return fprintf(stderr, "%s finds no device\n", argv[2]), 1;
    options = api.options_create();
    api.options_add_delegate(options, delegate);
    interpreter = api.interpreter_create(api.model_create(argv[3]), options);
    rc = run(interpreter, argv[4], argv[5]);
    if (interpreter)
        api.interpreter_delete(interpreter);
    destroy(delegate);
    return rc;
}
