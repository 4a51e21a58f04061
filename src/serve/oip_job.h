/* serve/oip_job.h - a request for tensors on its way through a model, for the parts that do it.
 *
 *     oip_infer.c    rows go in, run and come out
 *     oip_check.c    does the request fit the model? nothing has run yet
 *     oip_model.c    what the model is to the protocol
 *
 * each of which knows of those below it. Source: as oip.h.
 *
 * Memory: a job is scree_oip_infer()'s, and so are the pictures in it; it borrows the rest.
 * Threads: the request's. */
#ifndef SCREE_SERVE_OIP_JOB_H
#define SCREE_SERVE_OIP_JOB_H

#include "serve/oip.h"

/* An input of the model and what the request has for it. */
struct scree_oip_source {
    const struct scree_oip_tensor *tensor;
    uint8_t **pictures; /* [n_rows] if they are pictures: inputs made of them */
};

/* An output of the model that is asked for. */
struct scree_oip_sink {
    uint32_t index; /* of the model's outputs */
    uint32_t n_classes;
    struct scree_tensor first; /* as it was after the first row */
};

struct scree_oip_job {
    struct scree_served *served;
    struct scree_oip_request *request;
    struct scree_oip_response *response;
    int32_t model_rows;                                    /* scree_oip_common_rows() */
    uint32_t max_at_once;                                  /* rows of one run */
    uint32_t n_inputs, n_rows, row;                        /* row: the next that runs */
    struct scree_oip_source sources[SCREE_OIP_MAX_INPUTS]; /* by the model's inputs */
    struct scree_oip_sink sinks[SCREE_OIP_MAX_OUTPUTS];    /* by the response's outputs */
};

/* ---- oip_model.c ---- */

/* The protocol's datatype for one of TensorFlow Lite's. Errors: -ENOTSUP (there is none). */
int scree_oip_type_of(enum scree_type type, enum scree_oip_type *ret);

/* The first dimension that all inputs and outputs have in common: -1 if it is open, 0 if there is
 * none. */
int32_t scree_oip_common_rows(const struct scree_served *served);

/* Gives a tensor the shape of a model's, whose rank is known. */
void scree_oip_set_shape(struct scree_oip_tensor *to, const struct scree_tensor *from);

/* ---- oip_check.c ---- */

/* Finds out what each input is made of, how many rows there are, and which outputs are asked for.
 * On failure, too, pictures may have been allocated. Errors: EINVAL, ENOTSUP, ENOMEM. */
int scree_oip_check(struct scree_oip_job *job, struct scree_error *err);

/* The next element of a BYTES tensor that ends at `end`: *at is moved behind it. False if it is cut
 * off. */
bool scree_oip_next_element(const uint8_t **at, const uint8_t *end, const uint8_t **ret,
                            size_t *ret_n);

#endif
