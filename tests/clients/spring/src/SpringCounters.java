import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.concurrent.TimeUnit;
import java.util.logging.LogManager;
import org.springframework.data.redis.connection.lettuce.LettuceConnectionFactory;
import org.springframework.data.redis.support.atomic.RedisAtomicInteger;
import org.springframework.data.redis.support.atomic.RedisAtomicLong;

/** The counters of Spring Data Redis, in the source that all its versions compile. */
final class SpringCounters {
  private final LettuceConnectionFactory factory =
      new LettuceConnectionFactory(System.getenv("REDIS_HOST"), Integer.parseInt(System.getenv("REDIS_PORT")));
  private RedisAtomicLong counter;

  public static void main(String[] arguments) throws Exception {
    LogManager.getLogManager().reset();
    SpringCounters counters = new SpringCounters();
    BufferedReader steps = new BufferedReader(new InputStreamReader(System.in));
    for (String step = steps.readLine(); step != null; step = steps.readLine()) {
      System.out.println(counters.answer(step));
    }
    System.exit(0);
  }

  private String answer(String step) {
    try {
      return "ok " + value(step);
    } catch (Exception error) {
      return ("error " + withCauses(error)).replaceAll("\\s+", " ");
    }
  }

  private static String withCauses(Throwable error) {
    return error.getCause() == null ? error.toString() : error + ": " + withCauses(error.getCause());
  }

  private Object value(String step) {
    switch (step) {
      case "connect":
        factory.afterPropertiesSet();
        counter = new RedisAtomicLong("orders", factory); // SETNX in 2.7, SET NX later
        return "";
      case "incr": return counter.incrementAndGet();
      case "block": return counter.addAndGet(100);
      case "narrow": return new RedisAtomicInteger("orders", factory).incrementAndGet();
      case "initial": return new RedisAtomicLong("orders", factory, 5);
      case "compare": return counter.compareAndSet(0, 1);
      case "get": return counter.get();
      case "decrement": return counter.decrementAndGet();
      case "expire": return counter.expire(5, TimeUnit.SECONDS);
      case "close": factory.destroy(); return "";
      default: throw new IllegalArgumentException(step);
    }
  }
}
