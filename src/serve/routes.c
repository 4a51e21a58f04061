/* Every path of the server. */
#include "serve/server.h"

const struct scree_route scree_routes[] = {
    /* the service that scree replaces, and what stands beside it */
    {"GET", "/", SCREE_ROUTE_QUICK | SCREE_ROUTE_OPEN, NULL, scree_api_root},
    {"GET", "/health", SCREE_ROUTE_QUICK | SCREE_ROUTE_OPEN, NULL, scree_api_health},
    {"GET", "/metrics", SCREE_ROUTE_QUICK, NULL, scree_api_metrics},
    {"GET", "/livez", SCREE_ROUTE_QUICK | SCREE_ROUTE_OPEN, NULL, scree_api_live},
    {"GET", "/readyz", SCREE_ROUTE_QUICK | SCREE_ROUTE_OPEN, NULL, scree_api_ready},
    {"POST", "/infer", 0, scree_api_admit, scree_api_infer},
    {"POST", "/detect", 0, scree_api_admit, scree_api_detect},
    /* DOODS */
    {"GET", "/detectors", SCREE_ROUTE_QUICK, NULL, scree_api_detectors},
    {"POST", "/image", 0, scree_api_admit_detector, scree_api_doods_image},
    /* DeepStack and CodeProject.AI */
    {"POST", "/v1/vision/detection", SCREE_ROUTE_KEY, scree_api_admit_detector,
     scree_api_deepstack_detect},
    {"POST", "/v1/vision/scene", SCREE_ROUTE_KEY, scree_api_admit_classifier,
     scree_api_deepstack_scene},
    {"POST", "/v1/vision/custom/list", SCREE_ROUTE_QUICK, NULL, scree_api_deepstack_list},
    {"POST", "/v1/vision/custom/*", SCREE_ROUTE_KEY, NULL, scree_api_deepstack_custom},
    {"GET", "/v1/status/ping", SCREE_ROUTE_QUICK, NULL, scree_api_codeproject_ping},
    {"GET", "/v1/status/version", SCREE_ROUTE_QUICK, NULL, scree_api_codeproject_version},
    {"GET", "/v1/status/updateavailable", SCREE_ROUTE_QUICK, NULL, scree_api_codeproject_update},
    {"GET", "/v1/server/status/ping", SCREE_ROUTE_QUICK, NULL, scree_api_codeproject_ping},
    {"GET", "/v1/server/status/version", SCREE_ROUTE_QUICK, NULL, scree_api_codeproject_version},
    {"GET", "/v1/server/status/updateavailable", SCREE_ROUTE_QUICK, NULL,
     scree_api_codeproject_update},
    /* Open Inference Protocol, with Triton's extensions */
    {"GET", "/v2", SCREE_ROUTE_QUICK, NULL, scree_api_oip_server},
    {"GET", "/v2/health/live", SCREE_ROUTE_QUICK | SCREE_ROUTE_OPEN, NULL, scree_api_live},
    {"GET", "/v2/health/ready", SCREE_ROUTE_QUICK | SCREE_ROUTE_OPEN, NULL, scree_api_ready},
    {"GET", "/v2/models/stats", SCREE_ROUTE_QUICK, NULL, scree_api_oip_stats},
    {"GET", "/v2/models/*", SCREE_ROUTE_QUICK, NULL, scree_api_oip_model},
    {"GET", "/v2/models/*/versions/*", SCREE_ROUTE_QUICK, NULL, scree_api_oip_model},
    {"GET", "/v2/models/*/ready", SCREE_ROUTE_QUICK, NULL, scree_api_oip_model_ready},
    {"GET", "/v2/models/*/versions/*/ready", SCREE_ROUTE_QUICK, NULL, scree_api_oip_model_ready},
    {"GET", "/v2/models/*/config", SCREE_ROUTE_QUICK, NULL, scree_api_oip_config},
    {"GET", "/v2/models/*/versions/*/config", SCREE_ROUTE_QUICK, NULL, scree_api_oip_config},
    {"GET", "/v2/models/*/stats", SCREE_ROUTE_QUICK, NULL, scree_api_oip_stats},
    {"GET", "/v2/models/*/versions/*/stats", SCREE_ROUTE_QUICK, NULL, scree_api_oip_stats},
    {"POST", "/v2/models/*/infer", 0, scree_api_oip_admit, scree_api_oip_infer},
    {"POST", "/v2/models/*/versions/*/infer", 0, scree_api_oip_admit, scree_api_oip_infer},
    {"POST", "/v2/repository/index", SCREE_ROUTE_QUICK, NULL, scree_api_oip_index},
    {"POST", "/v2/repository/models/*/load", SCREE_ROUTE_ADMIN, NULL, scree_api_oip_load},
    {"POST", "/v2/repository/models/*/unload", SCREE_ROUTE_ADMIN, NULL, scree_api_oip_unload},
    {0},
};
