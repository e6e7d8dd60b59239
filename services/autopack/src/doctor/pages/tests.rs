//! The walk over a registry that gives its self-check in pages.

use std::sync::{Arc, Mutex};

use autopack_wire::{
    registry::{
        DescribeSchemaRequest, DescribeSchemaResponse, Finding, InferIdsRequest, InferIdsResponse,
        ListRepairsRequest, ListRepairsResponse, RepairResponse,
        doctor_service_server::{DoctorService, DoctorServiceServer},
    },
    server::Principal,
};
use tonic::{Request, Response, Status, service::Routes};

use super::*;

type Reply<T> = Result<Response<T>, Status>;

/// Pages with so many findings and one repair each; the last is followed by itself if the registry goes astray.
#[derive(Clone)]
struct Paged {
    findings: Vec<usize>,
    astray: bool,
    limits: Arc<Mutex<Vec<u32>>>,
}

impl Paged {
    fn of(findings: &[usize]) -> Self {
        Self {
            findings: findings.to_vec(),
            astray: false,
            limits: Arc::default(),
        }
    }

    fn clients(&self) -> Clients {
        let routes = Routes::new(DoctorServiceServer::new(self.clone()));
        Clients::in_process(routes, Principal::User)
    }

    /// The page of a token, and the token of the next.
    fn at(&self, token: &str) -> (usize, String) {
        let page = token.parse().unwrap_or(0);
        let next = match page + 1 {
            next if next < self.findings.len() => next.to_string(),
            _ if self.astray => page.to_string(),
            _ => String::new(),
        };
        (page, next)
    }
}

#[tonic::async_trait]
impl DoctorService for Paged {
    async fn diagnose(&self, request: Request<DiagnoseRequest>) -> Reply<DiagnoseResponse> {
        let request = request.into_inner();
        self.limits.lock().unwrap().push(request.limit);
        let (page, next_page_token) = self.at(&request.page_token);
        let found = self.findings[page].min(request.limit as usize);
        let finding = |n| Finding {
            row: format!("{page}/{n}"),
            ..Finding::default()
        };
        Ok(Response::new(DiagnoseResponse {
            findings: (0..found).map(finding).collect(),
            rows: 10,
            more: !next_page_token.is_empty(),
            self_repair: format!("of page {page}"),
            next_page_token,
            ..DiagnoseResponse::default()
        }))
    }

    async fn repair(&self, request: Request<RepairRequest>) -> Reply<RepairResponse> {
        let (page, next_page_token) = self.at(&request.into_inner().page_token);
        let record = RepairRecord {
            row: page.to_string(),
            ..RepairRecord::default()
        };
        Ok(Response::new(RepairResponse {
            repairs: vec![record],
            next_page_token,
            ..RepairResponse::default()
        }))
    }

    async fn list_repairs(&self, _: Request<ListRepairsRequest>) -> Reply<ListRepairsResponse> {
        Err(Status::unimplemented(""))
    }

    async fn infer_ids(&self, _: Request<InferIdsRequest>) -> Reply<InferIdsResponse> {
        Err(Status::unimplemented(""))
    }

    async fn describe_schema(
        &self,
        _: Request<DescribeSchemaRequest>,
    ) -> Reply<DescribeSchemaResponse> {
        Err(Status::unimplemented(""))
    }
}

#[tokio::test]
async fn all_pages_are_one_answer() {
    let paged = Paged::of(&[2, 0, 3]);
    let clients = paged.clients();
    let whole = diagnose(&clients, "", Ui::default()).await.unwrap();
    let rows: Vec<&str> = whole.findings.iter().map(|f| f.row.as_str()).collect();
    assert_eq!(rows, ["0/0", "0/1", "2/0", "2/1", "2/2"]);
    assert_eq!((whole.rows, whole.more), (30, false));
    assert_eq!(whole.self_repair, "of page 2");
    assert_eq!(*paged.limits.lock().unwrap(), [1000, 998, 998]);
    let repairs = repair(&clients, Ui::default()).await.unwrap();
    let rows: Vec<&str> = repairs.iter().map(|r| r.row.as_str()).collect();
    assert_eq!(rows, ["0", "1", "2"], "a repair has no limit");
}

#[tokio::test]
async fn no_more_findings_are_asked_for_than_are_shown() {
    let paged = Paged::of(&[600, 600, 600]);
    let whole = diagnose(&paged.clients(), "", Ui::default()).await.unwrap();
    assert_eq!((whole.findings.len(), whole.more), (1000, true));
    assert_eq!(*paged.limits.lock().unwrap(), [1000, 400]);
}

#[tokio::test]
async fn a_page_that_follows_itself_ends_the_walk() {
    let paged = Paged {
        astray: true,
        ..Paged::of(&[1, 1])
    };
    let clients = paged.clients();
    let error = diagnose(&clients, "", Ui::default()).await.unwrap_err();
    assert!(error.message.contains("again and again"), "{error:?}");
    assert!(repair(&clients, Ui::default()).await.is_err());
}
