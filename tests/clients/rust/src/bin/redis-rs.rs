//! redis-rs, blocking, with the pool r2d2.

use redis::{Client, Commands, Connection};
use respid_drivers::redis_rs::{connection_info, queue};
use respid_drivers::{Drawn, Driver, PAUSE, run};
use std::thread;

#[derive(Default)]
struct Blocking {
    connection: Option<Connection>,
}

impl Blocking {
    fn connection(&mut self) -> Drawn<&mut Connection> {
        self.connection
            .as_mut()
            .ok_or_else(|| "not connected".into())
    }
}

impl Driver for Blocking {
    fn connect(&mut self) -> Drawn<()> {
        self.connection = Some(Client::open(connection_info())?.get_connection()?);
        Ok(())
    }

    fn ping(&mut self) -> Drawn<String> {
        Ok(redis::cmd("PING").query(self.connection()?)?)
    }

    fn incr(&mut self) -> Drawn<i64> {
        Ok(self.connection()?.incr("orders", 1)?)
    }

    fn pipeline(&mut self, count: usize) -> Drawn<Vec<i64>> {
        Ok(queue(count).query(self.connection()?)?)
    }

    fn transaction(&mut self, count: usize) -> Drawn<Vec<i64>> {
        Ok(queue(count).atomic().query(self.connection()?)?)
    }

    fn block(&mut self, count: i64) -> Drawn<i64> {
        Ok(self.connection()?.incr("orders", count)?)
    }

    fn string_id(&mut self) -> Drawn<String> {
        Ok(redis::cmd("ID.NEXT")
            .arg("AS")
            .arg("STRING")
            .query(self.connection()?)?)
    }

    fn pool(&mut self, size: usize) -> Drawn<Vec<i64>> {
        let pool = r2d2::Pool::builder()
            .max_size(size as u32)
            .build(Client::open(connection_info())?)?;
        let draw_hundred = || -> Drawn<Vec<i64>> {
            let mut connection = pool.get()?;
            (0..100)
                .map(|_| Ok(connection.incr("orders", 1)?))
                .collect()
        };
        let drawn: Drawn<Vec<Vec<i64>>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..size).map(|_| scope.spawn(draw_hundred)).collect();
            threads
                .into_iter()
                .map(|each| each.join().expect("the thread ends"))
                .collect()
        });
        Ok(drawn?.concat())
    }

    /// r2d2 sends PING before it gives a connection out.
    fn draw_around_pause(&mut self) -> Drawn<Vec<i64>> {
        let pool = r2d2::Pool::builder()
            .max_size(1)
            .build(Client::open(connection_info())?)?;
        let first = pool.get()?.incr("orders", 1)?;
        thread::sleep(PAUSE);
        Ok(vec![first, pool.get()?.incr("orders", 1)?])
    }

    fn close(&mut self) -> Drawn<()> {
        self.connection = None;
        Ok(())
    }
}

fn main() {
    run(&mut Blocking::default());
}
