/* What the server is told, who may ask it, and which versions it loads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "serve/access.h"
#include "serve/config.h"
#include "serve/versions.h"

static int read_text(struct scree_config *config, const char *text, struct scree_error *err)
{
    scree_config_init(config);
    return scree_config_read(config, "f", text, strlen(text), err);
}

static void test_files(void **state)
{
    static const char text[] = "port = 9000\r\n"
                               "; a comment\n"
                               "[server]\n"
                               "\tmax-body =  20M \n"
                               "require-npu = yes\n"
                               "delegate-option = a=b\n"
                               "delegate-option = c=d # all of it\n"
                               "[model cat]\n"
                               "queue = 0\n"
                               "versions = all\n"
                               "[server]\n"
                               "queue = 7";
    struct scree_config config;
    struct scree_model_options cat, dog;

    (void)state;
    assert_int_equal(read_text(&config, text, NULL), 0);
    assert_int_equal(config.options.port, 9000);
    assert_int_equal(config.options.max_body, 20 << 20);
    assert_true(config.options.require_npu);
    assert_int_equal(config.options.delegate_options.n, 2);
    assert_string_equal(config.options.delegate_options.v[1], "c=d # all of it");
    scree_config_model(&config, "cat", &cat);
    scree_config_model(&config, "dog", &dog);
    assert_int_equal(cat.queue, 0);
    assert_int_equal(dog.queue, 7);
    assert_string_equal(cat.versions, "all");
    assert_string_equal(dog.versions, "latest");
    assert_int_equal(cat.instances, 0); /* auto */
    scree_config_done(&config);
}

static void test_files_that_are_wrong(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"\nprot = 1", "f:2: there is no setting 'prot'"},
        {"port = x", "f:1: port = x: a number from 0 to 65535 is wanted"},
        {"port = 8080.5", "f:1: port = 8080.5: a number from 0 to 65535 is wanted"},
        {"port =", "f:1: port = : a number from 0 to 65535 is wanted"},
        {"require-npu = maybe", "f:1: require-npu = maybe: true or false is wanted"},
        {"max-body = 10X", "f:1: max-body = 10X: bytes are wanted, like 512K or 10M, from 1 to 1G"},
        {"max-body = -1", "f:1: max-body = -1: bytes are wanted, like 512K or 10M, from 1 to 1G"},
        {"versions = best",
         "f:1: versions = best: latest, latest:N, all or only:1,3 is wanted, N up to 64"},
        {"device = gpu", "f:1: device = gpu: auto, cpu or teflon is wanted"},
        {"port = 1\nport = 2", "f:2: port is set in line 1 already"},
        {"[model a]\n[model a]", "f:2: model a has a section already"},
        {"[model a]\nport = 1", "f:2: there is no setting 'port' of models"},
        {"[model ]", "f:1: sections are [server] and [model NAME]"},
        {"[model a/b]", "f:1: 'a/b' cannot be a model's name"},
        {"[other]", "f:1: sections are [server] and [model NAME]"},
        {"[server", "f:1: a section ends with ']'"},
        {"[]", "f:1: a section has a name"},
        {"port", "f:1: 'key = value' is wanted, or '[section]'"},
        {"= 1", "f:1: there is no key before '='"},
        {"port = \x01", "f:1: the line is not UTF-8 text"},
        {"port = \xff", "f:1: the line is not UTF-8 text"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_config config;
        struct scree_error err;

        assert_true(read_text(&config, cases[i].text, &err) < 0);
        assert_string_equal(err.text, cases[i].error);
        scree_config_done(&config);
    }
}

static void test_environment(void **state)
{
    static const char *const environment[] = {
        "MODEL_PATH=/old", "PORT=81",          "SCREE_PORT=tcp://10.0.0.1", "LABELS_PATH=",
        "SCREE_QUEUE=3",   "SCREE_MODEL=/new", "SCREE_MAX_BODY_=1",         NULL};
    static const char *const wrong[] = {"PORT=http", NULL};
    struct scree_config config;
    struct scree_error err;

    (void)state;
    scree_config_init(&config);
    assert_int_equal(scree_config_read_environment(&config, environment, &err), 0);
    assert_string_equal(config.options.model, "/new");
    assert_int_equal(config.options.port, 81);
    assert_int_equal(config.options.queue, 3);
    assert_null(config.options.labels);
    assert_int_equal(scree_config_check(&config, &err), 0);
    assert_int_equal(scree_config_read_environment(&config, wrong, &err), -EINVAL);
    assert_string_equal(err.text, "PORT=http: a number from 0 to 65535 is wanted");
    scree_config_done(&config);
}

static void test_what_does_not_go_together(void **state)
{
    struct scree_config config;
    struct scree_error err;

    (void)state;
    scree_config_init(&config);
    assert_int_equal(scree_config_check(&config, &err), -EINVAL);
    assert_string_equal(err.text, "no model: give --model FILE or --models FOLDER");
    config.options.model = "m";
    config.options.max_body = config.options.max_bodies + 1;
    assert_int_equal(scree_config_check(&config, &err), -EINVAL);
    config.options.max_body = 1;
    config.options.require_npu = true;
    assert_int_equal(scree_config_check(&config, &err), 0);
    config.options.device = "cpu";
    assert_int_equal(scree_config_check(&config, &err), -EINVAL);
    config.options.versions = "never";
    assert_int_equal(scree_config_check(&config, &err), -EINVAL);
    assert_memory_equal(err.text, "--versions never: ", 18);
    scree_config_done(&config);
}

static void test_version_policies(void **state)
{
    static const char *const wrong[] = {
        "",       "latest:",  "latest:0", "latest:65", "latest:2x", "only:", "only:1,",
        "only:0", "only:1 2", "only:-1",  "ALL",       "latest:-1", "1",     "only:99999999999"};
    struct scree_versions versions;
    struct scree_error err;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(scree_versions_parse(wrong[i], &versions, &err), -EINVAL);
    assert_int_equal(scree_versions_parse("latest:3", &versions, &err), 0);
    assert_true(versions.keep == 3 && scree_versions_allow(&versions, 12));
    assert_int_equal(scree_versions_parse("only:1,30", &versions, &err), 0);
    assert_true(scree_versions_allow(&versions, 30) && !scree_versions_allow(&versions, 3));
}

/* ---- access ---- */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int ask(struct scree_access *access, enum scree_scope scope, const char *authorization)
{
    const struct scree_credentials who = {.peer = "10.0.0.7", .authorization = authorization};

    return scree_access_check(access, scope, &who, NULL);
}

static void test_tokens(void **state)
{
    char path[] = "/tmp/scree-tokens-XXXXXX";
    struct scree_access access;
    struct scree_error err;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    (void)close(fd);
    scree_access_init(&access);
    assert_int_equal(ask(&access, SCREE_SCOPE_INFER, NULL), 0);
    write_file(path, "old-token-1\n\r\nnew-token-22\n");
    assert_int_equal(scree_access_read(&access, SCREE_SCOPE_INFER, path, &err), 0);
    assert_int_equal(ask(&access, SCREE_SCOPE_OPEN, NULL), 0);
    assert_int_equal(ask(&access, SCREE_SCOPE_INFER, NULL), -EACCES);
    assert_int_equal(ask(&access, SCREE_SCOPE_INFER, "Bearer old-token-1"), 0);
    assert_int_equal(ask(&access, SCREE_SCOPE_INFER, "bearer  new-token-22"), 0);
    assert_int_equal(ask(&access, SCREE_SCOPE_INFER, "Bearer old-token-"), -EACCES);
    assert_int_equal(ask(&access, SCREE_SCOPE_INFER, "Bearer old-token-1old-token-1"), -EACCES);
    assert_int_equal(ask(&access, SCREE_SCOPE_INFER, "Bearer "), -EACCES);
    assert_int_equal(ask(&access, SCREE_SCOPE_INFER, "Basic old-token-1"), -EACCES);
    assert_int_equal(ask(&access, SCREE_SCOPE_ADMIN, "Bearer old-token-1"), -EACCES);
    write_file(path, "admin-token-3");
    assert_int_equal(scree_access_read(&access, SCREE_SCOPE_ADMIN, path, &err), 0);
    assert_int_equal(ask(&access, SCREE_SCOPE_ADMIN, "Bearer admin-token-3"), 0);
    assert_int_equal(ask(&access, SCREE_SCOPE_INFER, "Bearer admin-token-3"), 0);
    /* A file that is wrong leaves the tokens as they are. */
    write_file(path, "short");
    assert_int_equal(scree_access_read(&access, SCREE_SCOPE_ADMIN, path, &err), -EBADMSG);
    write_file(path, "with spaces in it\n");
    assert_int_equal(scree_access_read(&access, SCREE_SCOPE_ADMIN, path, &err), -EBADMSG);
    write_file(path, "\n");
    assert_int_equal(scree_access_read(&access, SCREE_SCOPE_ADMIN, path, &err), -EBADMSG);
    assert_int_equal(ask(&access, SCREE_SCOPE_ADMIN, "Bearer admin-token-3"), 0);
    scree_access_done(&access);
    (void)unlink(path);
}

static void test_changes_without_a_token_come_from_this_machine(void **state)
{
    static const struct {
        struct scree_credentials who;
        bool may;
    } cases[] = {
        {{.peer = "127.0.0.1"}, true},
        {{.peer = "::1", .host = "localhost:8080"}, true},
        {{.peer = "::ffff:127.0.0.1", .host = "127.0.0.1:8080"}, true},
        {{.peer = "::1", .host = "[::1]:8080"}, true},
        {{.peer = "10.0.0.7"}, false},
        {{.peer = "::ffff:10.0.0.7", .host = "localhost"}, false},
        {{.peer = "127.0.0.1", .is_forwarded = true}, false},
        /* Another site's page in a browser on this machine. */
        {{.peer = "127.0.0.1", .host = "localhost:8080", .origin = "http://localhost:8080"}, true},
        {{.peer = "127.0.0.1", .host = "localhost:8080", .origin = "http://evil.example"}, false},
        {{.peer = "127.0.0.1", .host = "localhost:8080", .origin = "null"}, false},
        {{.peer = "127.0.0.1", .host = "evil.example"}, false},
        /* A name that begins as an address does, and leads here if its owner says so. */
        {{.peer = "127.0.0.1", .host = "127.evil.example"}, false},
        {{.peer = "127.0.0.1",
          .host = "127.0.0.1.evil.example:8080",
          .origin = "http://127.0.0.1.evil.example:8080"},
         false},
        {{.peer = "127.0.0.1", .host = "[::ffff:127.evil.example]"}, false},
        {{.peer = "127.1.2.3", .host = "127.1.2.3"}, true},
    };
    struct scree_access access;

    (void)state;
    scree_access_init(&access);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(scree_access_check(&access, SCREE_SCOPE_ADMIN, &cases[i].who, NULL) == 0,
                         cases[i].may);
    scree_access_done(&access);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_files_that_are_wrong),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_what_does_not_go_together),
        cmocka_unit_test(test_version_policies),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_changes_without_a_token_come_from_this_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
