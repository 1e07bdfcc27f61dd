import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import javax.net.ssl.SSLContext;
import redis.clients.jedis.AbstractPipeline;
import redis.clients.jedis.AbstractTransaction;
import redis.clients.jedis.ConnectionPoolConfig;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.RedisClient;
import redis.clients.jedis.RedisProtocol;
import redis.clients.jedis.Response;

final class JedisSteps extends Steps {
  private RedisClient client;

  public static void main(String[] arguments) throws Exception {
    run(new JedisSteps());
  }

  private static RedisClient open(Consumer<ConnectionPoolConfig> change) throws Exception {
    DefaultJedisClientConfig.Builder config = DefaultJedisClientConfig.builder().timeoutMillis(PATIENCE_MILLIS);
    if (USERNAME != null) config.user(USERNAME);
    if (PASSWORD != null) config.password(PASSWORD);
    if (PROTOCOL != null) config.protocol(PROTOCOL.equals("2") ? RedisProtocol.RESP2 : RedisProtocol.RESP3);
    if (CA_FILE != null) {
      SSLContext tls = SSLContext.getInstance("TLS");
      tls.init(null, trust().getTrustManagers(), null);
      config.ssl(true).sslSocketFactory(tls.getSocketFactory());
    }
    ConnectionPoolConfig pool = new ConnectionPoolConfig();
    change.accept(pool);
    return RedisClient.builder().hostAndPort(HOST, PORT).clientConfig(config.build()).poolConfig(pool).build();
  }

  @Override
  void connect() throws Exception {
    if (client != null) client.close();
    client = open(pool -> {});
  }

  @Override
  String ping() {
    return client.ping();
  }

  @Override
  long incr() {
    return client.incr("orders");
  }

  @Override
  List<Long> pipeline(int count) {
    try (AbstractPipeline pipeline = client.pipelined()) {
      List<Response<Long>> replies = IntStream.range(0, count).mapToObj(i -> pipeline.incr("orders")).toList();
      pipeline.sync();
      return replies.stream().map(Response::get).toList();
    }
  }

  @Override
  List<Long> transaction(int count) {
    try (AbstractTransaction transaction = client.multi()) {
      IntStream.range(0, count).forEach(i -> transaction.incr("orders"));
      return transaction.exec().stream().map(Long.class::cast).toList();
    }
  }

  @Override
  long block(long count) {
    return client.incrBy("orders", count);
  }

  @Override
  String string() {
    byte[] id = (byte[]) client.sendCommand(() -> "ID.NEXT".getBytes(StandardCharsets.US_ASCII), "AS", "STRING");
    return new String(id, StandardCharsets.US_ASCII);
  }

  @Override
  List<Long> pool(int threads) throws Exception {
    try (RedisClient pooled = open(pool -> pool.setMaxTotal(threads))) {
      return drawInThreads(threads, () -> drawHundred(() -> pooled.incr("orders")));
    }
  }

  @Override
  List<Long> idle() throws Exception {
    try (RedisClient checked = open(pool -> pool.setTimeBetweenEvictionRuns(Duration.ofSeconds(1)))) {
      return drawAroundPause(() -> checked.incr("orders"));
    }
  }

  @Override
  void close() {
    client.close();
  }
}
