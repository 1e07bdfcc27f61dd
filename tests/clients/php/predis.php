<?php

require 'Predis/autoload.php';
require 'steps.php';

final class PredisSteps
{
    private ?Predis\Client $client = null;

    private static function open(): Predis\Client
    {
        $options = ['scheme' => CA_FILE ? 'tls' : 'tcp', 'host' => HOST, 'port' => PORT, 'timeout' => 60];
        $options += CA_FILE ? ['ssl' => ['cafile' => CA_FILE]] : [];
        $options += USERNAME ? ['username' => USERNAME] : [];
        $options += PASSWORD ? ['password' => PASSWORD] : [];
        return new Predis\Client($options);
    }

    public function connect(): void
    {
        $this->client = self::open();
        $this->client->connect();
    }

    public function ping(): string
    {
        return $this->client->ping();
    }

    public function incr(): int
    {
        return $this->client->incr('orders');
    }

    public function pipeline(): array
    {
        return $this->client->pipeline(fn($queue) => self::queue($queue, 1_000));
    }

    public function transaction(): array
    {
        return $this->client->transaction(fn($queue) => self::queue($queue, 10));
    }

    private static function queue(object $queue, int $count): void
    {
        for ($i = 0; $i < $count; $i++) {
            $queue->incr('orders');
        }
    }

    public function block(): int
    {
        return $this->client->incrby('orders', 100);
    }

    public function string(): string
    {
        return $this->client->executeRaw(['ID.NEXT', 'AS', 'STRING']);
    }

    public function pool(): array
    {
        return drawTenfold(fn() => drawHundred(self::open()));
    }

    public function idle(): array
    {
        $first = $this->incr();
        sleep(2);
        return [$first, $this->incr()];
    }

    public function close(): void
    {
        $this->client->disconnect();
    }
}

run(new PredisSteps());
