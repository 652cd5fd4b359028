//! HTTP/2 requests that are taken back as soon as they are made (CVE-2023-44487).

use bytes::Bytes;
use h2::Reason;
use h2::client::handshake;
use http::Request;
use tokio::net::TcpStream;

use crate::bench::Bench;
use crate::support::PATIENCE;

const CONNECTIONS: usize = 50;

#[test]
fn rapid_resets_end_the_connection_and_stop_nobody() {
    let bench = Bench::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address = bench.server.address;
    let (mut connections, mut taken_back) = (0, 0);
    bench.withstands(0, |honest| {
        honest.goes_on_beside(CONNECTIONS, || {
            connections += 1;
            taken_back += runtime.block_on(async {
                let stream = TcpStream::connect(address).await.unwrap();
                reset_until_cut_off(stream).await
            });
        });
    });
    println!("{taken_back} requests taken back on {connections} connections");
    assert_eq!(bench.closed("resets"), connections);
}

/// Opens and resets requests until the server has had enough; gives how many there were.
async fn reset_until_cut_off(stream: TcpStream) -> u64 {
    let (requests, connection) = handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut taken_back = 0;
    loop {
        let Ok(mut requests) = requests.clone().ready().await else {
            break;
        };
        let request = Request::post("http://a/token")
            .header("content-type", "application/json")
            .body(())
            .unwrap();
        let Ok((reply, mut stream)) = requests.send_request(request, false) else {
            break;
        };
        let _ = stream.send_data(Bytes::from_static(b"{"), false);
        stream.send_reset(Reason::CANCEL);
        drop(reply);
        taken_back += 1;
        // Lets the frames out.
        tokio::task::yield_now().await;
        assert!(taken_back < 1_000_000, "nobody stops it");
    }
    drop(requests);
    let _ = tokio::time::timeout(PATIENCE, connection).await.unwrap();
    taken_back
}
