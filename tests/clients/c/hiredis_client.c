/* hiredis. Its integers are long long; it neither reconnects nor retries. The steps are those of README.md. */
#include <hiredis.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static redisContext *client;

static redisContext *open_client(void) {
    redisContext *opened = redisConnect(getenv("REDIS_HOST"), atoi(getenv("REDIS_PORT")));
    const char *password = getenv("REDIS_PASSWORD"), *username = getenv("REDIS_USERNAME");
    if (opened != NULL && !opened->err && password != NULL) {
        redisReply *reply = username != NULL ? redisCommand(opened, "AUTH %s %s", username, password)
                                             : redisCommand(opened, "AUTH %s", password);
        if (reply != NULL) freeReplyObject(reply);
    }
    return opened;
}

/* Adds a reply's values to the answer; returns the text of an error, or NULL. */
static const char *add_reply(char **answer, redisContext *from, redisReply *reply) {
    if (reply == NULL) return from->errstr[0] ? from->errstr : "no connection";
    switch (reply->type) {
    case REDIS_REPLY_ERROR:
        return reply->str;
    case REDIS_REPLY_INTEGER:
        *answer += sprintf(*answer, " %lld", reply->integer);
        return NULL;
    case REDIS_REPLY_ARRAY:
        for (size_t i = 0; i < reply->elements; i++) {
            const char *error = add_reply(answer, from, reply->element[i]);
            if (error != NULL) return error;
        }
        return NULL;
    default:
        *answer += sprintf(*answer, " %s", reply->str);
        return NULL;
    }
}

static void answer_next(redisContext *from, int count) {
    static char buffer[64 * 1024];
    char *end = buffer;
    const char *error = from == NULL ? "no client" : NULL;
    *end = 0;
    for (int i = 0; i < count && error == NULL; i++) {
        redisReply *reply = NULL;
        redisGetReply(from, (void **)&reply);
        error = add_reply(&end, from, reply);
    }
    if (error != NULL) printf("error %s\n", error);
    else printf("ok%s\n", buffer);
}

static void command(const char *text) {
    if (client != NULL) redisAppendCommand(client, text);
    answer_next(client, 1);
}

static void pipeline(void) {
    for (int i = 0; i < 1000; i++) redisAppendCommand(client, "INCR orders");
    answer_next(client, 1000);
}

static void transaction(void) {
    freeReplyObject(redisCommand(client, "MULTI"));
    for (int i = 0; i < 10; i++) freeReplyObject(redisCommand(client, "INCR orders"));
    command("EXEC");
}

static void *draw_hundred(void *into) {
    long long *ids = into;
    redisContext *own = open_client();
    for (int i = 0; i < 100; i++) {
        redisReply *reply = redisCommand(own, "INCR orders");
        ids[i] = reply != NULL && reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
        freeReplyObject(reply);
    }
    redisFree(own);
    return NULL;
}

static void pool(void) {
    static long long ids[10][100];
    pthread_t threads[10];
    for (int i = 0; i < 10; i++) pthread_create(&threads[i], NULL, draw_hundred, ids[i]);
    for (int i = 0; i < 10; i++) pthread_join(threads[i], NULL);
    printf("ok");
    for (int i = 0; i < 1000; i++) printf(" %lld", ids[i / 100][i % 100]);
    printf("\n");
}

static void idle(void) {
    redisAppendCommand(client, "INCR orders");
    int done = 0;
    while (!done) redisBufferWrite(client, &done);
    sleep(2);
    redisAppendCommand(client, "INCR orders");
    answer_next(client, 2);
}

static void close_client(void) {
    if (client != NULL) redisFree(client);
    client = NULL;
}

int main(void) {
    char step[64];
    while (fgets(step, sizeof step, stdin) != NULL) {
        step[strcspn(step, "\n")] = 0;
        if (!strcmp(step, "connect")) {
            close_client();
            client = open_client();
            if (client == NULL || client->err) printf("error %s\n", client == NULL ? "no memory" : client->errstr);
            else printf("ok\n");
        } else if (!strcmp(step, "ping")) command("PING");
        else if (!strcmp(step, "incr")) command("INCR orders");
        else if (!strcmp(step, "block")) command("INCRBY orders 100");
        else if (!strcmp(step, "string")) command("ID.NEXT AS STRING");
        else if (!strcmp(step, "pipeline")) pipeline();
        else if (!strcmp(step, "transaction")) transaction();
        else if (!strcmp(step, "pool")) pool();
        else if (!strcmp(step, "idle")) idle();
        else if (!strcmp(step, "close")) {
            close_client();
            printf("ok\n");
        } else printf("error unknown step %s\n", step);
        fflush(stdout);
    }
    close_client();
    return 0;
}
