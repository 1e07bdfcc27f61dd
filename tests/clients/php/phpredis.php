<?php

require 'steps.php';

final class PhpRedisSteps
{
    private ?Redis $redis = null;

    private static function open(string $connect = 'connect'): Redis
    {
        $redis = new Redis();
        if (CA_FILE) {
            $redis->$connect('tls://' . HOST, PORT, 0, null, 0, 0, ['stream' => ['cafile' => CA_FILE]]);
        } else {
            $redis->$connect(HOST, PORT);
        }
        if (PASSWORD) {
            $redis->auth(USERNAME ? [USERNAME, PASSWORD] : PASSWORD);
        }
        return $redis;
    }

    public function connect(): void
    {
        $this->redis = self::open();
    }

    public function ping(): string
    {
        return $this->redis->ping() === true ? 'PONG' : 'no answer';
    }

    public function incr(): int
    {
        return $this->checked($this->redis->incr('orders'));
    }

    /** phpredis returns false for an error that begins with ERR. */
    private function checked(mixed $reply): mixed
    {
        return $reply === false ? throw new RedisException($this->redis->getLastError()) : $reply;
    }

    public function pipeline(): array
    {
        return self::queued($this->redis->pipeline(), 1_000);
    }

    public function transaction(): array
    {
        return self::queued($this->redis->multi(), 10);
    }

    private static function queued(Redis $queue, int $count): array
    {
        for ($i = 0; $i < $count; $i++) {
            $queue->incr('orders');
        }
        return $queue->exec();
    }

    public function block(): int
    {
        return $this->checked($this->redis->incrBy('orders', 100));
    }

    public function string(): string
    {
        return $this->checked($this->redis->rawCommand('ID.NEXT', 'AS', 'STRING'));
    }

    public function pool(): array
    {
        return drawTenfold(fn() => drawHundred(self::open()));
    }

    /** A persistent connection goes back to the pool, which sends ECHO before it gives it out again. */
    public function idle(): array
    {
        $first = self::open('pconnect')->incr('orders');
        sleep(2);
        return [$first, self::open('pconnect')->incr('orders')];
    }

    public function close(): void
    {
        $this->redis->close();
    }
}

run(new PhpRedisSteps());
