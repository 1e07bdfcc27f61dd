import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.commons.pool2.impl.GenericObjectPoolConfig;
import io.lettuce.core.api.StatefulConnection;
import org.springframework.dao.DataAccessException;
import org.springframework.data.redis.connection.RedisConnection;
import org.springframework.data.redis.connection.RedisStandaloneConfiguration;
import org.springframework.data.redis.connection.lettuce.LettuceClientConfiguration.LettuceClientConfigurationBuilder;
import org.springframework.data.redis.connection.lettuce.LettuceConnectionFactory;
import org.springframework.data.redis.connection.lettuce.LettucePoolingClientConfiguration;
import org.springframework.data.redis.core.RedisCallback;
import org.springframework.data.redis.core.RedisOperations;
import org.springframework.data.redis.core.SessionCallback;
import org.springframework.data.redis.core.StringRedisTemplate;
import org.springframework.data.redis.support.atomic.RedisAtomicInteger;
import org.springframework.data.redis.support.atomic.RedisAtomicLong;

/** Spring Data Redis, over Lettuce. */
final class SpringSteps extends Steps {
  private LettuceConnectionFactory factory;
  private RedisAtomicLong counter;
  private StringRedisTemplate template;

  public static void main(String[] arguments) throws Exception {
    run(new SpringSteps());
  }

  private static LettuceConnectionFactory open(int connections) {
    RedisStandaloneConfiguration server = new RedisStandaloneConfiguration(HOST, PORT);
    if (USERNAME != null) server.setUsername(USERNAME);
    if (PASSWORD != null) server.setPassword(PASSWORD);
    GenericObjectPoolConfig<StatefulConnection<?, ?>> pool = new GenericObjectPoolConfig<>();
    pool.setMaxTotal(connections);
    LettuceClientConfigurationBuilder client =
        LettucePoolingClientConfiguration.builder().poolConfig(pool).clientOptions(LettuceSteps.options());
    if (CA_FILE != null) client.useSsl();
    LettuceConnectionFactory opened = new LettuceConnectionFactory(server, client.build());
    opened.start();
    return opened;
  }

  @Override
  void connect() {
    if (factory != null) close();
    factory = open(GenericObjectPoolConfig.DEFAULT_MAX_TOTAL);
    counter = new RedisAtomicLong("orders", factory);
    template = new StringRedisTemplate(factory);
  }

  @Override
  String ping() {
    return template.execute((RedisCallback<String>) RedisConnection::ping);
  }

  @Override
  long incr() {
    return counter.incrementAndGet();
  }

  @Override
  List<Long> pipeline(int count) {
    RedisCallback<Object> queued =
        connection -> {
          for (int i = 0; i < count; i++) connection.stringCommands().incr("orders".getBytes(StandardCharsets.US_ASCII));
          return null;
        };
    return template.executePipelined(queued).stream().map(Long.class::cast).toList();
  }

  @Override
  List<Long> transaction(int count) {
    return template.execute(
        new SessionCallback<List<Long>>() {
          @Override
          public <K, V> List<Long> execute(RedisOperations<K, V> operations) throws DataAccessException {
            operations.multi();
            IntStream.range(0, count).forEach(i -> template.opsForValue().increment("orders"));
            return operations.exec().stream().map(Long.class::cast).toList();
          }
        });
  }

  @Override
  long block(long count) {
    return counter.addAndGet(count);
  }

  @Override
  String string() {
    byte[] id =
        (byte[])
            template.execute(
                (RedisCallback<Object>) connection -> connection.execute("ID.NEXT", "AS".getBytes(), "STRING".getBytes()));
    return new String(id, StandardCharsets.US_ASCII);
  }

  @Override
  List<Long> pool(int threads) throws Exception {
    LettuceConnectionFactory pooled = open(threads);
    pooled.setShareNativeConnection(false);
    try {
      StringRedisTemplate draws = new StringRedisTemplate(pooled);
      return drawInThreads(threads, () -> drawHundred(() -> draws.opsForValue().increment("orders")));
    } finally {
      pooled.destroy();
    }
  }

  @Override
  List<Long> calculate(int count) {
    return IntStream.range(0, count).boxed().flatMap(i -> Stream.of(counter.incrementAndGet(), counter.getAndIncrement())).toList();
  }

  @Override
  List<Integer> narrow(int count) {
    RedisAtomicInteger narrow = new RedisAtomicInteger("orders", factory);
    return IntStream.range(0, count).mapToObj(i -> narrow.incrementAndGet()).toList();
  }

  @Override
  void close() {
    factory.destroy();
  }
}
