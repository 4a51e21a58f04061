/* What is in a picture? usage: classify MODEL PICTURE [LABELS] */
#include <scree/scree.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct scree_error err = {"usage: classify MODEL PICTURE [LABELS]"};
    struct scree_model *model = NULL;
    struct scree_session *session = NULL;
    struct scree_image *image = NULL;
    struct scree_labels *labels = NULL;
    struct scree_tensor out;
    struct scree_class top[5];
    int n = -1;

    if (argc < 3 || scree_model_open(argv[1], &model, &err) < 0 ||
        scree_session_new(model, NULL, &session, &err) < 0 ||
        scree_image_open(argv[2], true, &image, &err) < 0 ||
        scree_session_set_image(session, 0, image, NULL, NULL, &err) < 0 ||
        (argc > 3 && scree_labels_open(argv[3], &labels, &err) < 0) ||
        scree_session_run(session, &err) < 0 || scree_session_output(session, 0, &out) < 0 ||
        (n = scree_topk(&out, 5, top, &err)) < 0)
        fprintf(stderr, "%s\n", err.text);
    if (labels && n > 0)
        scree_labels_align(labels, (uint32_t)out.shape.dims[out.shape.rank - 1]);
    for (int i = 0; i < n; i++) {
        const char *name = scree_labels_get(labels, top[i].class_id);

        printf("%4d  %.4f  %s\n", top[i].class_id, (double)top[i].score, name ? name : "");
    }
    scree_labels_free(labels);
    scree_image_free(image);
    scree_session_free(session);
    scree_model_unref(model);
    return n < 0;
}
