import io.lettuce.core.ClientOptions;
import io.lettuce.core.LettuceFutures;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.RedisURI;
import io.lettuce.core.SslOptions;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.sync.RedisCommands;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.StatusOutput;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.ProtocolKeyword;
import io.lettuce.core.protocol.ProtocolVersion;
import io.lettuce.core.support.ConnectionPoolSupport;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.apache.commons.pool2.impl.GenericObjectPool;
import org.apache.commons.pool2.impl.GenericObjectPoolConfig;

final class LettuceSteps extends Steps {
  private static final ProtocolKeyword ID_NEXT =
      new ProtocolKeyword() {
        @Override
        public byte[] getBytes() {
          return toString().getBytes(StandardCharsets.US_ASCII);
        }

        @Override
        public String toString() {
          return "ID.NEXT";
        }
      };

  private RedisClient client;
  private StatefulRedisConnection<String, String> connection;
  private final List<StatefulRedisConnection<String, String>> movers = new ArrayList<>(); // of the step load

  public static void main(String[] arguments) throws Exception {
    run(new LettuceSteps());
  }

  static ClientOptions options() {
    ClientOptions.Builder options = ClientOptions.builder();
    if (PROTOCOL != null) options.protocolVersion(PROTOCOL.equals("2") ? ProtocolVersion.RESP2 : ProtocolVersion.RESP3);
    if (CA_FILE != null) options.sslOptions(SslOptions.builder().jdkSslProvider().trustManager(new File(CA_FILE)).build());
    return options.build();
  }

  @Override
  void connect() {
    if (client != null) close();
    RedisURI.Builder uri = RedisURI.builder().withHost(HOST).withPort(PORT).withSsl(CA_FILE != null);
    if (USERNAME != null) uri.withAuthentication(USERNAME, PASSWORD);
    else if (PASSWORD != null) uri.withPassword(PASSWORD.toCharArray());
    client = RedisClient.create(uri.build());
    client.setOptions(options());
    connection = client.connect();
  }

  @Override
  String ping() {
    return connection.sync().ping();
  }

  @Override
  long incr() {
    return connection.sync().incr("orders");
  }

  @Override
  List<Long> pipeline(int count) throws Exception {
    connection.setAutoFlushCommands(false);
    try {
      List<RedisFuture<Long>> replies =
          IntStream.range(0, count).mapToObj(i -> connection.async().incr("orders")).toList();
      connection.flushCommands();
      LettuceFutures.awaitAll(Duration.ofSeconds(30), replies.toArray(RedisFuture[]::new));
      return join(replies);
    } finally {
      connection.setAutoFlushCommands(true);
    }
  }

  @Override
  List<Long> transaction(int count) {
    return transaction(connection, count);
  }

  private static List<Long> transaction(StatefulRedisConnection<String, String> connection, int count) {
    RedisCommands<String, String> commands = connection.sync();
    commands.multi();
    IntStream.range(0, count).forEach(i -> commands.incr("orders"));
    return commands.exec().stream().map(Long.class::cast).toList();
  }

  @Override
  long block(long count) {
    return connection.sync().incrby("orders", count);
  }

  @Override
  String string() {
    CommandArgs<String, String> as = new CommandArgs<>(StringCodec.UTF8).add("AS").add("STRING");
    return connection.sync().dispatch(ID_NEXT, new StatusOutput<>(StringCodec.UTF8), as);
  }

  @Override
  List<Long> pool(int threads) throws Exception {
    GenericObjectPoolConfig<StatefulRedisConnection<String, String>> config = new GenericObjectPoolConfig<>();
    config.setMaxTotal(threads);
    try (GenericObjectPool<StatefulRedisConnection<String, String>> pool =
        ConnectionPoolSupport.createGenericObjectPool(client::connect, config)) {
      return drawInThreads(
          threads,
          () -> {
            try (StatefulRedisConnection<String, String> pooled = pool.borrowObject()) {
              return drawHundred(() -> pooled.sync().incr("orders"));
            }
          });
    }
  }

  private static List<Long> join(List<RedisFuture<Long>> replies) {
    return replies.stream().map(reply -> reply.toCompletableFuture().join()).toList();
  }

  /** Without setAutoFlushCommands: what it holds back while the driver reconnects is never sent. */
  @Override
  List<Long> load() throws Exception {
    while (movers.size() < 10) movers.add(client.connect());
    List<Callable<List<Long>>> draws = new ArrayList<>();
    for (StatefulRedisConnection<String, String> mover : movers) {
      switch (draws.size()) {
        case 0 -> draws.add(() -> join(IntStream.range(0, 100).mapToObj(i -> mover.async().incr("orders")).toList()));
        case 1 -> draws.add(() -> transaction(mover, 10));
        default -> draws.add(() -> List.of(mover.sync().incr("orders")));
      }
    }
    return repeatTogether(draws);
  }

  @Override
  void close() {
    movers.clear();
    client.shutdown(Duration.ZERO, Duration.ofSeconds(2));
  }
}
