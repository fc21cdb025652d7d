//! The bytes that HBase's servers sent to HBase's client, decoded by this one.

use crate::cell_block::{CellCodec, row_of};
use crate::fault::Fault;
use crate::frame::ResponseFrame;
use crate::json_cell::json_cell;
use crate::proto;
use crate::results::{only_row, rows_of};
use bytes::Bytes;
use hregion::{Row, ServerName};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn cells(rows: &[Row]) -> Vec<Value> {
    rows.iter().flat_map(Row::cells).map(|cell| json_cell(&cell)).collect()
}

/// Returns the rows of an answer.
fn rows_of_method(method: &str, frame: ResponseFrame) -> Vec<Row> {
    match method {
        "Scan" => {
            let (response, cells): (proto::ScanResponse, _) = frame.decode(CellCodec::default(), 0).unwrap();
            rows_of(&response, cells).unwrap().into_iter().map(|(row, _)| row).collect()
        }
        "Get" => {
            let (response, cells): (proto::GetResponse, _) = frame.decode(CellCodec::default(), 0).unwrap();
            let mut all = CellCodec::default().block(Bytes::new(), 0).unwrap();
            let result = response.result.unwrap_or_default();
            if result.associated_cell_count.is_none() {
                return vec![row_of(&result, &mut all).unwrap()];
            }
            let mut cells = cells;
            let row = row_of(&result, &mut cells).unwrap();
            cells.finish().unwrap();
            vec![row]
        }
        "Mutate" => {
            let (response, cells): (proto::MutateResponse, _) =
                frame.decode(CellCodec::default(), 0).unwrap();
            let row = response.result.as_ref().map_or(&b""[..], |_| b"row-0059");
            vec![only_row(response.result.as_ref(), cells, row).unwrap()]
        }
        "Multi" => {
            let (response, mut cells): (proto::MultiResponse, _) =
                frame.decode(CellCodec::default(), 0).unwrap();
            let mut rows = Vec::new();
            for region in response.region_action_result {
                if let Some(exception) = &region.exception {
                    let fault = Fault::of_named("server", exception);
                    assert_eq!(fault.kind, hregion::locator::RegionException::NotServingRegion);
                }
                for result in region.result_or_exception {
                    rows.push(row_of(&result.result.unwrap_or_default(), &mut cells).unwrap());
                }
            }
            cells.finish().unwrap();
            rows
        }
        "GetMetaRegionLocations" => {
            let (response, _): (proto::GetMetaRegionLocationsResponse, _) =
                frame.decode(CellCodec::default(), 0).unwrap();
            assert!(!response.meta_locations.is_empty());
            Vec::new()
        }
        "GetClusterId" | "GetConnectionRegistry" => {
            let (response, _): (proto::GetClusterIdResponse, _) =
                frame.decode(CellCodec::default(), 0).unwrap();
            assert_eq!(response.cluster_id.unwrap().len(), 36);
            Vec::new()
        }
        "GetBootstrapNodes" => {
            let (response, _): (proto::GetBootstrapNodesResponse, _) =
                frame.decode(CellCodec::default(), 0).unwrap();
            let names = response.server_name.iter().map(|server| ServerName::from_proto_bytes(server));
            assert!(names.into_iter().all(|name| name.is_ok()));
            Vec::new()
        }
        "GetActiveMaster" => {
            let (response, _): (proto::GetActiveMasterResponse, _) =
                frame.decode(CellCodec::default(), 0).unwrap();
            ServerName::from_proto_bytes(&response.server_name.unwrap()).unwrap();
            Vec::new()
        }
        // calls of administration, which this client does not make
        _ => Vec::new(),
    }
}

#[test]
fn recorded_answers_are_decoded() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/cluster/rpc");
    let Ok(frames) = fs::read_to_string(dir.join("frames.jsonl")) else {
        println!("SKIPPED: no shared/golden/cluster/rpc");
        return;
    };
    let frames = frames.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let sent = frames.filter(|frame| frame["dir"] == "s2c");
    let mut streams: BTreeMap<u64, (Bytes, usize)> = BTreeMap::new();
    let (mut answers, mut exceptions, mut found) = (0, 0, 0);
    for expected in sent {
        let number = expected["conn"].as_u64().unwrap();
        let (stream, at) = streams
            .entry(number)
            .or_insert_with(|| (fs::read(dir.join(format!("conn-{number}.s2c.bin"))).unwrap().into(), 0));
        assert_eq!(expected["offset"], *at, "{expected}");
        let len = u32::from_be_bytes(stream[*at..*at + 4].try_into().unwrap()) as usize;
        let frame = ResponseFrame::parse(stream.slice(*at + 4..*at + 4 + len)).unwrap();
        *at += 4 + len;
        assert_eq!(i64::from(frame.call_id.cast_signed()), expected["call_id"].as_i64().unwrap());
        let method = expected["method"].as_str().unwrap_or_default();
        if let Some(exception) = &frame.exception {
            let fault = Fault::of_exception("server", exception);
            let class = exception.exception_class_name.as_deref().unwrap();
            assert!(fault.error.message().contains(class.rsplit('.').next().unwrap()), "{}", fault.error);
            exceptions += 1;
            continue;
        }
        let rows = cells(&rows_of_method(method, frame));
        let expected = expected["cells"].as_array().cloned().unwrap_or_default();
        assert_eq!(rows, expected, "{method}");
        (answers, found) = (answers + 1, found + rows.len());
    }
    for (number, (stream, at)) in &streams {
        assert_eq!(stream.len(), *at, "connection {number}");
    }
    println!("{answers} answers with {found} cells, {exceptions} exceptions");
    assert!(answers > 50 && exceptions > 5 && found > 100);
}
