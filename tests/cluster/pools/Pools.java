import io.lettuce.core.RedisURI;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.support.ConnectionPoolSupport;
import java.io.OutputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.logging.LogManager;
import org.apache.commons.pool2.impl.GenericObjectPool;
import org.apache.commons.pool2.impl.GenericObjectPoolConfig;
import redis.clients.jedis.ConnectionPoolConfig;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.RedisClient;
import redis.clients.jedis.executors.RetryableCommandExecutor;
import redis.clients.jedis.providers.PooledConnectionProvider;

/** Draws from pools of the driver that the argument names, as ../load.py describes. */
final class Pools {
  private static final String HOST = System.getenv("REDIS_HOST");
  private static final int PORT = Integer.parseInt(System.getenv("REDIS_PORT"));
  private static final int POOLS = Integer.parseInt(System.getenv("POOLS"));
  private static final int CONNECTIONS = Integer.parseInt(System.getenv("CONNECTIONS"));
  private static final long PERIOD_MS = Long.parseLong(System.getenv("PERIOD_MS"));
  private static volatile boolean isStopping;

  public static void main(String[] arguments) throws Exception {
    LogManager.getLogManager().reset(); // Lettuce logs each attempt to connect again on standard error
    List<Thread> threads = new ArrayList<>();
    for (int pool = 0; pool < POOLS; pool++) {
      Callable<Long> incr = open(arguments[0]);
      long offsetMs = PERIOD_MS * pool / POOLS;
      for (int i = 0; i < CONNECTIONS; i++) threads.add(new Thread(() -> draw(incr, offsetMs)));
    }
    threads.forEach(Thread::start);
    System.in.transferTo(OutputStream.nullOutputStream());
    isStopping = true;
    for (Thread thread : threads) thread.join();
    System.exit(0);
  }

  private static Callable<Long> open(String driver) {
    switch (driver) {
      case "lettuce": return openLettuce();
      case "jedis": return openJedis(false);
      case "jedis-retrying": return openJedis(true);
      default: throw new IllegalArgumentException(driver);
    }
  }

  private static Callable<Long> openLettuce() {
    GenericObjectPoolConfig<StatefulRedisConnection<String, String>> config = new GenericObjectPoolConfig<>();
    config.setMaxTotal(CONNECTIONS);
    config.setMaxIdle(CONNECTIONS);
    io.lettuce.core.RedisClient client = io.lettuce.core.RedisClient.create(RedisURI.create(HOST, PORT));
    GenericObjectPool<StatefulRedisConnection<String, String>> pool =
        ConnectionPoolSupport.createGenericObjectPool(client::connect, config);
    return () -> {
      try (StatefulRedisConnection<String, String> connection = pool.borrowObject()) {
        return connection.sync().incr("orders");
      }
    };
  }

  /** With its default settings, or one that sends a command again when its connection fails. */
  private static Callable<Long> openJedis(boolean isRetrying) {
    ConnectionPoolConfig config = new ConnectionPoolConfig();
    config.setMaxTotal(CONNECTIONS);
    config.setMaxIdle(CONNECTIONS);
    PooledConnectionProvider provider =
        new PooledConnectionProvider(
            new HostAndPort(HOST, PORT), DefaultJedisClientConfig.builder().build(), config);
    RedisClient.Builder builder = RedisClient.builder();
    builder.connectionProvider(provider);
    if (isRetrying) {
      builder.commandExecutor(
          new RetryableCommandExecutor(provider, CONNECTIONS + 1, Duration.ofSeconds(10)));
    }
    RedisClient client = builder.build();
    return () -> client.incr("orders");
  }

  private static String describe(Throwable error) {
    return error.getCause() == null ? error.toString() : error + " because of " + describe(error.getCause());
  }

  private static void draw(Callable<Long> incr, long offsetMs) {
    while (true) {
      try {
        Thread.sleep(PERIOD_MS - (System.currentTimeMillis() - offsetMs) % PERIOD_MS);
        if (isStopping) return;
        System.out.println(incr.call());
      } catch (Exception error) {
        System.out.println(("error " + describe(error)).replaceAll("\\s+", " "));
      }
    }
  }
}
