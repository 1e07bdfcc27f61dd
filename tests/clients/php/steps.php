<?php
// What the programs share: where to connect to, and the loop over the steps of README.md.

define('HOST', getenv('REDIS_HOST'));
define('PORT', (int) getenv('REDIS_PORT'));
define('USERNAME', getenv('REDIS_USERNAME'));
define('PASSWORD', getenv('REDIS_PASSWORD'));
define('CA_FILE', getenv('REDIS_CA_FILE'));

/** A hundred in turn in each of ten processes at the same time, as PHP's servers run: it has no threads. */
function drawTenfold(callable $drawHundred): array
{
    $pipes = [];
    for ($i = 0; $i < 10; $i++) {
        $pipe = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, STREAM_IPPROTO_IP);
        if (pcntl_fork() === 0) {
            fwrite($pipe[1], implode(' ', $drawHundred()));
            posix_kill(getmypid(), SIGKILL); // exit would say goodbye on the parent's connection, too, with TLS
        }
        fclose($pipe[1]);
        $pipes[] = $pipe[0];
    }
    $ids = array_map(fn($pipe) => explode(' ', stream_get_contents($pipe)), $pipes);
    foreach ($pipes as $_) {
        pcntl_wait($status);
    }
    return array_merge(...$ids);
}

/** A hundred from a client, one at a time. */
function drawHundred(object $client): array
{
    return array_map(fn() => $client->incr('orders'), range(1, 100));
}

function run(object $driver): void
{
    while (($step = fgets(STDIN)) !== false) {
        try {
            $line = implode(' ', ['ok', ...(array) $driver->{trim($step)}()]);
        } catch (Exception $error) {
            $line = strtr('error ' . get_class($error) . ': ' . $error->getMessage(), "\n", ' ');
        }
        fwrite(STDOUT, "$line\n");
    }
}
