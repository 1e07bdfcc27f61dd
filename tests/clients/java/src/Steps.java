import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.logging.LogManager;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.net.ssl.TrustManagerFactory;

/** What the programs share: where to connect to, and the loop over the steps of README.md. */
abstract class Steps {
  static final String HOST = System.getenv("REDIS_HOST");
  static final int PORT = Integer.parseInt(System.getenv("REDIS_PORT"));
  static final String USERNAME = System.getenv("REDIS_USERNAME");
  static final String PASSWORD = System.getenv("REDIS_PASSWORD");
  static final String CA_FILE = System.getenv("REDIS_CA_FILE");
  static final String PROTOCOL = System.getenv("REDIS_PROTOCOL");
  static final int PATIENCE_MILLIS = 60_000; // the timeout of all drivers; README.md has the reason

  abstract void connect() throws Exception;

  abstract String ping() throws Exception;

  abstract long incr() throws Exception;

  abstract List<Long> pipeline(int count) throws Exception;

  abstract List<Long> transaction(int count) throws Exception;

  abstract long block(long count) throws Exception;

  abstract String string() throws Exception;

  abstract List<Long> pool(int threads) throws Exception;

  /** With the driver's own health check, if it has one. */
  List<Long> idle() throws Exception {
    return drawAroundPause(this::incr);
  }

  abstract void close() throws Exception;

  /** Draws in turn with incrementAndGet and with getAndIncrement: so many IDs with each. */
  List<Long> calculate(int count) throws Exception {
    throw new UnsupportedOperationException();
  }

  /** What the driver's counter of 32 bits returns. */
  List<Integer> narrow(int count) throws Exception {
    throw new UnsupportedOperationException();
  }

  /** A method that needs a script. */
  Object script(String method) throws Exception {
    throw new UnsupportedOperationException();
  }

  /** Draws for a second on connections that stay open. */
  List<Long> load() throws Exception {
    throw new UnsupportedOperationException();
  }

  /** Repeats the draws for a second, each in a thread of its own, with pauses. */
  static List<Long> repeatTogether(List<Callable<List<Long>>> draws) throws Exception {
    long ends = System.nanoTime() + 1_000_000_000;
    return together(draws.stream().map(draw -> (Callable<List<Long>>) () -> repeat(draw, ends)).toList());
  }

  private static List<Long> repeat(Callable<List<Long>> draw, long ends) throws Exception {
    List<Long> ids = new ArrayList<>();
    while (System.nanoTime() < ends) {
      ids.addAll(draw.call());
      Thread.sleep(10);
    }
    return ids;
  }

  static List<Long> drawAroundPause(Callable<Long> draw) throws Exception {
    long first = draw.call();
    Thread.sleep(2_000);
    return List.of(first, draw.call());
  }

  /** A hundred in turn in each of so many threads at the same time. */
  static List<Long> drawInThreads(int threads, Callable<List<Long>> drawHundred) throws Exception {
    return together(IntStream.range(0, threads).mapToObj(i -> drawHundred).toList());
  }

  private static List<Long> together(List<Callable<List<Long>>> draws) throws Exception {
    ExecutorService executor = Executors.newFixedThreadPool(draws.size());
    try {
      List<Long> ids = new ArrayList<>();
      for (Future<List<Long>> drawn : executor.invokeAll(draws)) {
        ids.addAll(drawn.get());
      }
      return ids;
    } finally {
      executor.shutdown();
    }
  }

  static List<Long> drawHundred(Callable<Long> draw) throws Exception {
    List<Long> ids = new ArrayList<>();
    for (int i = 0; i < 100; i++) ids.add(draw.call());
    return ids;
  }

  /** Trusts the certificate of {@code REDIS_CA_FILE}. */
  static TrustManagerFactory trust() throws Exception {
    KeyStore certificates = KeyStore.getInstance(KeyStore.getDefaultType());
    certificates.load(null, null);
    try (FileInputStream file = new FileInputStream(CA_FILE)) {
      certificates.setCertificateEntry("respid", CertificateFactory.getInstance("X.509").generateCertificate(file));
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(certificates);
    return trust;
  }

  /** Does the steps that come in until there are no more. Ends the process: a driver's threads would keep it alive. */
  static void run(Steps driver) throws Exception {
    LogManager.getLogManager().reset(); // Lettuce logs each attempt to connect again on standard error
    BufferedReader steps = new BufferedReader(new InputStreamReader(System.in));
    for (String step = steps.readLine(); step != null; step = steps.readLine()) {
      System.out.println(driver.answer(step));
    }
    System.exit(0);
  }

  private String answer(String step) {
    try {
      return values(step).map(value -> " " + value).collect(Collectors.joining("", "ok", ""));
    } catch (Exception error) {
      return ("error " + withCauses(error)).replaceAll("\\s+", " ");
    }
  }

  private Stream<?> values(String step) throws Exception {
    String[] words = step.split(" ");
    Integer count = words.length > 1 ? Integer.valueOf(words[1]) : null;
    switch (words[0]) {
      case "connect": connect(); return Stream.of();
      case "ping": return Stream.of(ping());
      case "incr": return Stream.of(incr());
      case "pipeline": return pipeline(count == null ? 1_000 : count).stream();
      case "transaction": return transaction(count == null ? 10 : count).stream();
      case "block": return Stream.of(block(100));
      case "string": return Stream.of(string());
      case "pool": return pool(10).stream();
      case "load": return load().stream();
      case "idle": return idle().stream();
      case "calculate": return calculate(2_000).stream();
      case "narrow": return narrow(100).stream();
      case "compare_and_set": case "expire": case "lock": return Stream.of(script(step));
      case "close": close(); return Stream.of();
      default: throw new IllegalArgumentException(step);
    }
  }

  private static String withCauses(Throwable error) {
    return error.getCause() == null ? error.toString() : error + ": " + withCauses(error.getCause());
  }
}
