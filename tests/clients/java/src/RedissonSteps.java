import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.redisson.Redisson;
import org.redisson.api.BatchOptions;
import org.redisson.api.RAtomicLong;
import org.redisson.api.RBatch;
import org.redisson.api.RedissonClient;
import org.redisson.api.redisnode.RedisNodes;
import org.redisson.client.codec.StringCodec;
import org.redisson.client.protocol.RedisStrictCommand;
import org.redisson.command.CommandAsyncExecutor;
import org.redisson.config.Config;
import org.redisson.config.Protocol;
import org.redisson.config.SingleServerConfig;

final class RedissonSteps extends Steps {
  private RedissonClient client;

  public static void main(String[] arguments) throws Exception {
    run(new RedissonSteps());
  }

  private static RedissonClient open(Consumer<SingleServerConfig> change) throws Exception {
    Config config = new Config();
    if (USERNAME != null) config.setUsername(USERNAME);
    if (PASSWORD != null) config.setPassword(PASSWORD);
    if (PROTOCOL != null) config.setProtocol(PROTOCOL.equals("2") ? Protocol.RESP2 : Protocol.RESP3);
    if (CA_FILE != null) config.setSslTrustManagerFactory(trust());
    SingleServerConfig server = config.useSingleServer();
    server.setAddress((CA_FILE == null ? "redis://" : "rediss://") + HOST + ":" + PORT);
    server.setTimeout(PATIENCE_MILLIS).setConnectTimeout(PATIENCE_MILLIS);
    change.accept(server);
    return Redisson.create(config);
  }

  @Override
  void connect() throws Exception {
    if (client != null) close();
    client = open(server -> {});
  }

  @Override
  String ping() {
    return client.getRedisNodes(RedisNodes.SINGLE).getInstance().ping() ? "PONG" : "no answer";
  }

  @Override
  long incr() {
    return incr(client);
  }

  private static long incr(RedissonClient client) {
    return client.getAtomicLong("orders").incrementAndGet();
  }

  @Override
  List<Long> pipeline(int count) {
    return drawTogether(BatchOptions.defaults(), count);
  }

  @Override
  List<Long> transaction(int count) {
    return drawTogether(BatchOptions.defaults().executionMode(BatchOptions.ExecutionMode.REDIS_WRITE_ATOMIC), count);
  }

  private List<Long> drawTogether(BatchOptions options, int count) {
    RBatch batch = client.createBatch(options);
    IntStream.range(0, count).forEach(i -> batch.getAtomicLong("orders").incrementAndGetAsync());
    return batch.execute().getResponses().stream().map(Long.class::cast).toList();
  }

  @Override
  long block(long count) {
    return client.getAtomicLong("orders").addAndGet(count);
  }

  /** Redisson has no public way to send any command; this is the one that its own objects use. */
  @Override
  String string() {
    CommandAsyncExecutor executor = ((Redisson) client).getCommandExecutor();
    RedisStrictCommand<String> idNext = new RedisStrictCommand<>("ID.NEXT");
    return executor.get(executor.<String, String>writeAsync("orders", StringCodec.INSTANCE, idNext, "AS", "STRING"));
  }

  @Override
  List<Long> pool(int threads) throws Exception {
    RedissonClient pooled = open(server -> server.setConnectionPoolSize(threads).setConnectionMinimumIdleSize(threads));
    try {
      return drawInThreads(threads, () -> drawHundred(() -> incr(pooled)));
    } finally {
      pooled.shutdown();
    }
  }

  @Override
  List<Long> idle() throws Exception {
    RedissonClient pinging = open(server -> server.setPingConnectionInterval(1_000));
    try {
      return drawAroundPause(() -> incr(pinging));
    } finally {
      pinging.shutdown();
    }
  }

  @Override
  List<Long> calculate(int count) {
    RAtomicLong counter = client.getAtomicLong("orders");
    return IntStream.range(0, count).boxed().flatMap(i -> Stream.of(counter.incrementAndGet(), counter.getAndIncrement())).toList();
  }

  @Override
  Object script(String method) {
    RAtomicLong counter = client.getAtomicLong("orders");
    switch (method) {
      case "compare_and_set": return counter.compareAndSet(0, 1);
      case "expire": return counter.expire(Duration.ofSeconds(5));
      default: client.getLock("orders").lock(); return "locked";
    }
  }

  @Override
  void close() {
    client.shutdown();
  }
}
