/* serve/server.h - the inference server: what it is told, and what its files share.
 *
 *     rc = scree_server_new(&config, &server, err);
 *     rc = scree_server_run(server, err);      until SIGTERM or SIGINT, or scree_server_stop()
 *     scree_server_free(server);
 *
 * Requests come by http.h, are answered by the api_*.c files, which ask the repository for a model
 * and the model for an answer.
 *
 * Memory: the server owns all of it. Threads: new, run and free belong to one thread. */
#ifndef SCREE_SERVE_SERVER_H
#define SCREE_SERVE_SERVER_H

#include <jansson.h>

#include "device/tree.h"

#include "doctor/doctor.h"
#include "serve/access.h"
#include "serve/config.h"
#include "serve/events.h"
#include "serve/http.h"
#include "serve/log.h"
#include "serve/metrics.h"
#include "serve/rate.h"
#include "serve/reload.h"
#include "serve/repository.h"
#include "serve/rpc.h"
#include "serve/zmq.h"

/* What the doctor found last. */
struct scree_findings {
    pthread_mutex_t lock;
    time_t at_s; /* since 1970; 0: it was not asked */
    struct scree_report report;
};

struct scree_server {
    const struct scree_config *config;
    struct scree_server_options options; /* its settings */
    struct scree_access access;
    struct scree_http *http;
    struct scree_workers *workers; /* of HTTP and gRPC */
    struct scree_rpc *rpc;         /* NULL: no gRPC */
    struct scree_log log;
    struct scree_tree *tree; /* what the machine tells of its chip; NULL: nothing */
    struct scree_metrics *metrics;
    struct scree_repository *repository;
    struct scree_turns decoders;
    struct scree_workers *crew; /* as struct scree_served_options */
    atomic_uint n_at_work; /* requests that are being answered, as struct scree_served_options */
    struct scree_zmq *zmq; /* NULL: none */
    struct scree_events *events;
    struct scree_findings findings;
    atomic_bool is_loaded; /* models were looked for once */
    struct scree_reload *reload;
    struct scree_tls *tls;         /* NULL: HTTP */
    struct scree_rate *rate;       /* NULL: no limit; on the event loop */
    uint64_t watchdog_ms, ping_ms; /* how often systemd wants to hear, and when it heard last */
    int signals;                   /* a descriptor: SIGTERM ... */
    uint16_t port;
    atomic_bool stopping;
    uint64_t start_s; /* since 1970 */
};

/* Loads the models and starts listening, as `config`, which is borrowed, says. A model that does
 * not load is told to stderr; the server starts nevertheless, and says so when asked for its
 * health. Errors: those of scree_http_new() and scree_repository_scan(). */
int scree_server_new(const struct scree_config *config, struct scree_server **ret_server,
                     struct scree_error *err);

/* Serves until SIGTERM or SIGINT; then answers what was asked, for 10 s at most. */
int scree_server_run(struct scree_server *server, struct scree_error *err);

/* Accepts NULL. */
void scree_server_free(struct scree_server *server);

/* ---- what the api files share ---- */

/* All routes; ends with a row of NULL. */
extern const struct scree_route scree_routes[];

/* The handlers that routes.c names. */
scree_handler_fn scree_api_root, scree_api_health, scree_api_live, scree_api_ready,
    scree_api_metrics, scree_api_infer, scree_api_detect, scree_api_detectors,
    scree_api_doods_detect, scree_api_doods_image, scree_api_deepstack_detect,
    scree_api_deepstack_custom, scree_api_deepstack_list, scree_api_deepstack_scene,
    scree_api_codeproject_update, scree_api_codeproject_version, scree_api_codeproject_ping,
    scree_api_events;

/* Those of the web page. */
scree_handler_fn scree_api_front, scree_api_stats, scree_api_placement, scree_api_doctor;

/* Those of the Open Inference Protocol. */
scree_handler_fn scree_api_oip_server, scree_api_oip_model, scree_api_oip_model_ready,
    scree_api_oip_config, scree_api_oip_stats, scree_api_oip_admit, scree_api_oip_infer,
    scree_api_oip_index, scree_api_oip_load, scree_api_oip_unload;

/* Those of TensorFlow Serving, and the description of all paths. */
scree_handler_fn scree_api_tfs_status, scree_api_tfs_metadata, scree_api_tfs_predict,
    scree_api_openapi;

/* All methods of gRPC; ends with a row of NULL. */
extern const struct scree_rpc_method scree_rpc_methods[];

/* The gate before all routes: refuses who has no token and needs one, by the route's flags. */
scree_handler_fn scree_api_gate;

/* Whether who has `key` (NULL: none), in a place of its API's own, may have inferences. Errors:
 * EACCES. */
int scree_api_check_key(struct scree_server *server, const struct scree_request *request,
                        const char *key, struct scree_error *err);

/* Refuses at header time what has no chance with a model and version, NULL as
 * scree_repository_get() has them. */
void scree_api_admit_model(struct scree_server *server, struct scree_request *request,
                           const char *model, const char *version);

/* Refuses at header time what has no chance: no model at all, a line that is full. */
scree_handler_fn scree_api_admit;

/* The same for the model of scree_api_model(). */
scree_handler_fn scree_api_admit_detector, scree_api_admit_classifier;

/* Answers with JSON, whose reference is taken over; NULL: no memory. */
void scree_api_json(struct scree_request *request, int status, json_t *json);

/* The JSON of a text, char[n]; NULL for what is none, is nested too deeply, has over 16384 values
 * or a key twice. The reference is the caller's. */
json_t *scree_api_load(uint32_t max_depth, const char *text, size_t n);

/* The status of HTTP for a negative errno, and the reason for the metric; NULL: none counts. */
int scree_api_status(int rc, const char **ret_reason);

/* Counts a request that is refused for a negative errno. */
void scree_api_count_refusal(struct scree_server *server, int rc);

/* Answers {"error": text} with the status of rc, or as DeepStack has it on a route of its; adds
 * Retry-After where trying again makes sense. */
void scree_api_fail(struct scree_server *server, struct scree_request *request, int rc,
                    const struct scree_error *err);

/* The picture of a request: the file part `part` of a form, or else its first file, or the raw
 * body. Errors: EBADMSG (a form that is none), ENOENT (no picture). */
int scree_api_picture(const struct scree_request *request, const char *part,
                      const uint8_t **ret_bytes, size_t *ret_n, struct scree_error *err);

/* A text field of a form into text[n]; false if the request has none such. */
bool scree_api_field(const struct scree_request *request, const char *name, char *text, size_t n);

/* A number of the query in [min, max]; leaves *value alone if it is not there. Errors: EINVAL, with
 * its name. */
int scree_api_number(const struct scree_request *request, const char *name, double min, double max,
                     double *value, struct scree_error *err);

/* The threshold of struct scree_ask for the least score that a client tells, in [0, 1]: 0 is all.
 */
float scree_api_threshold(float least);

/* What a request says of its deadline, priority, count, threshold, and whether the picture is to be
 * turned upright: ?timeout_ms=, ?priority=, ?top=, ?threshold=, ?upright=. Errors: EINVAL (a value
 * out of range), with the parameter's name. */
int scree_api_ask(const struct scree_server *server, const struct scree_request *request,
                  struct scree_ask *ret_ask, struct scree_error *err);

/* Tells those who listen to GET /v1/events of an answer, and counts what was found. */
void scree_api_publish(struct scree_server *server, const struct scree_served *served,
                       const struct scree_answer *answer);

/* Answers a request of Frigate's. */
scree_zmq_answer_fn scree_api_frigate;

/* Looks at a picture with a model (NULL: the default), counts, and adds the headers that tell
 * device and times. ret_served is to be given back, on success only. Errors: those of
 * scree_repository_get() and scree_served_look(). */
int scree_api_look(struct scree_server *server, struct scree_request *request, const char *model,
                   const struct scree_ask *ask, struct scree_served **ret_served,
                   struct scree_answer *ret_answer, struct scree_error *err);

/* Counts an inference and its times. */
void scree_api_observe(struct scree_server *server, const struct scree_served *served,
                       const struct scree_times *times);

/* Adds "device" and "times_ms" to an answer: where it was computed, how long each stage took. */
void scree_api_add_times(json_t *json, const struct scree_times *times);

/* Adds where it ran and how long each stage took, as headers that browsers and scripts read, and
 * logs that. */
void scree_api_add_headers(struct scree_server *server, struct scree_request *request,
                           const struct scree_served *served, const struct scree_times *times);

/* The name of a class in text[n]; "class 7" without one. */
const char *scree_api_label(const struct scree_served *served, int32_t class_id, char *text,
                            size_t n);

/* Room for the name of a model. */
#define SCREE_API_NAME_BYTES 65

/* The name of the model for a request (NULL: for one that names none) of an API for one task: that
 * of ?model=; or NULL for the default model, if it is for this task or none is; or else in
 * name[SCREE_API_NAME_BYTES], the first one that is. */
const char *scree_api_model(struct scree_server *server, const struct scree_request *request,
                            enum scree_task task, char *name);

/* True if a request wants its answer drawn: ?draw=1, or `Accept: image/jpeg`. */
bool scree_api_wants_drawing(const struct scree_request *request);

/* Answers with the picture of an answer that has kept it, and in it what was found, as JPEG.
 * Errors: ENOMEM. */
int scree_api_reply_drawing(struct scree_request *request, const struct scree_served *served,
                            struct scree_answer *answer, struct scree_error *err);

/* Adds the same to json, in base64. */
int scree_api_add_drawing(json_t *json, const char *key, const struct scree_served *served,
                          struct scree_answer *answer, struct scree_error *err);

/* Adds the mask of an answer to json: a gray PNG of class ids, in base64. Errors: ENOMEM. */
int scree_api_add_mask(json_t *json, const char *key, const struct scree_answer *answer,
                       struct scree_error *err);

/* The whole time of an answer in ms: decode to postprocess. */
double scree_api_ms(const struct scree_times *times);

#endif
