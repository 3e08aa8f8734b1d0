//! Finds an adapter and opens its device.

use crate::failure::Failures;
use frontdesk_engine::{Error, ErrorKind, Result};
use std::sync::Arc;

/// Which adapter, and how much of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// What the device may be asked for.
    pub limits: Limits,
    /// Whether an adapter will do that computes on the CPU.
    pub allow_software: bool,
    /// How threads share the work.
    pub sharing: Sharing,
}

/// How threads share the work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// As suits the adapter: alone where it computes on the CPU.
    #[default]
    OfAdapter,
    /// Many threads for few sums each, which hide each other's loads.
    Together,
    /// Few threads for many sums each: a load of theirs serves more products.
    Alone,
}

/// What a device may be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limits {
    /// Buffers as large as the adapter offers, its subgroups and its half precision.
    #[default]
    OfAdapter,
    /// What every WebGPU device has: bindings of 128 MiB, neither of these.
    Base,
}

/// What an adapter says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterReport {
    /// Its name, or what is known of it.
    pub name: String,
    /// The driver's, where it is known.
    pub driver: String,
    /// Whether it computes on the CPU: right, but slower than the CPU backend.
    pub is_software: bool,
    /// The fewest threads of a subgroup, where kernels use subgroups.
    pub subgroup: Option<u32>,
    /// Whether kernels may compute in half precision.
    pub has_halves: bool,
}

/// An open device.
pub(crate) struct Device {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) report: AdapterReport,
    pub(crate) failures: Failures,
}

/// Names of adapters that are software, whatever type they claim.
const SOFTWARE: [&str; 4] = ["swiftshader", "llvmpipe", "lavapipe", "basic render"];

impl Device {
    /// Opens the most powerful adapter.
    ///
    /// # Errors
    /// `Backend` where there is none, or where it does not open.
    pub(crate) async fn open(options: Options) -> Result<Self> {
        let refuse = |what: &str, cause: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Backend, format!("{what}: {cause}"))
        };
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let wanted = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = instance
            .request_adapter(&wanted)
            .await
            .map_err(|cause| refuse("there is no GPU adapter", &cause))?;
        let info = adapter.get_info();
        let mut report = AdapterReport::of(&info);
        if report.is_software && !options.allow_software {
            let message = format!("the adapter {} computes on the CPU", report.name);
            return Err(Error::new(ErrorKind::Backend, message));
        }
        let offered = adapter.limits();
        let mut limits = wgpu::Limits::default();
        let mut features = wgpu::Features::empty();
        if options.limits == Limits::OfAdapter {
            features = adapter.features() & (wgpu::Features::SUBGROUP | wgpu::Features::SHADER_F16);
            limits.max_buffer_size = offered.max_buffer_size;
            limits.max_storage_buffer_binding_size = offered.max_storage_buffer_binding_size;
        }
        let descriptor = wgpu::DeviceDescriptor {
            required_limits: limits,
            required_features: features,
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|cause| refuse("the GPU device does not open", &cause))?;
        let fewest = info.subgroup_min_size;
        report.subgroup = (has_subgroups(&device) && fewest >= 4).then_some(fewest);
        report.has_halves = device.features().contains(wgpu::Features::SHADER_F16);
        let failures = Failures::default();
        let uncaptured = failures.clone();
        device.on_uncaptured_error(Arc::new(move |error| uncaptured.note_error(&error)));
        let lost = failures.clone();
        device.set_device_lost_callback(move |_, message| {
            let message = if message.is_empty() { "no reason is given" } else { &message };
            lost.note(ErrorKind::DeviceLost, format!("the GPU device is lost: {message}"));
        });
        Ok(Self { device, queue, report, failures })
    }
}

impl AdapterReport {
    /// The optional features that kernels use, by WebGPU's names.
    pub fn features(&self) -> Vec<&'static str> {
        let features = [("subgroups", self.subgroup.is_some()), ("shader-f16", self.has_halves)];
        features.into_iter().filter_map(|(name, is_used)| is_used.then_some(name)).collect()
    }

    fn of(info: &wgpu::AdapterInfo) -> Self {
        let text = format!("{} {} {}", info.name, info.driver, info.driver_info).to_lowercase();
        let is_software = info.device_type == wgpu::DeviceType::Cpu
            || SOFTWARE.iter().any(|name| text.contains(name));
        let driver = format!("{} {}", info.driver, info.driver_info).trim().to_owned();
        Self { name: info.name.clone(), driver, is_software, subgroup: None, has_halves: false }
    }
}

/// wgpu knows no subgroups in a browser (gfx-rs/wgpu#10146); there the worker asks for them.
#[cfg(target_family = "wasm")]
fn has_subgroups(device: &wgpu::Device) -> bool {
    device.as_webgpu().is_some_and(|device| device.features().has("subgroups"))
}

#[cfg(not(target_family = "wasm"))]
fn has_subgroups(device: &wgpu::Device) -> bool {
    device.features().contains(wgpu::Features::SUBGROUP)
}
