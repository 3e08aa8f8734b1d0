//! Records dispatches and submits them, one compute pass a submission; whatever a dispatch needs is made
//! once and found again.

use crate::buffers::Buffer;
use crate::device::Device;
use crate::kernels::{Kernel, MOST_CONSTANTS};
use frontdesk_engine::{Error, ErrorKind, Result};
use futures_channel::oneshot;
use std::collections::HashMap;

/// What was done since the device was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Compute passes, and so submissions that compute.
    pub passes: u64,
    /// Kernels dispatched.
    pub dispatches: u64,
    /// Buffers made.
    pub buffers: u64,
    /// Bind groups made.
    pub bind_groups: u64,
    /// Pipelines made.
    pub pipelines: u64,
    /// Times the caller waited for numbers.
    pub reads: u64,
    /// Bytes that came back.
    pub bytes_read: u64,
}

/// Most numbers of a dispatch's site.
const MOST_SITE: usize = 20;

/// One dispatch.
pub(crate) struct Call<'a> {
    pub(crate) kernel: Kernel,
    /// Values of the kernel's constants, in their order.
    pub(crate) constants: &'a [u32],
    /// Storage buffers by binding, from 0 on.
    pub(crate) buffers: &'a [&'a Buffer],
    /// The uniform after them; none where empty.
    pub(crate) site: &'a [u32],
    /// Workgroups.
    pub(crate) grid: [u32; 3],
}

/// By kernel and constants.
type PipelineKey = (Kernel, [u32; MOST_CONSTANTS]);
/// By pipeline, buffers and site.
type GroupKey = (PipelineKey, [u32; 8], [u32; MOST_SITE]);

/// A dispatch that waits for its submission.
struct Recorded {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    grid: [u32; 3],
}

pub(crate) struct Recorder {
    pub(crate) device: Device,
    pipelines: HashMap<PipelineKey, wgpu::ComputePipeline>,
    groups: HashMap<GroupKey, wgpu::BindGroup>,
    pending: Vec<Recorded>,
    next_id: u32,
    /// What numbers come back through, grown as needed.
    staging: Option<Buffer>,
    pub(crate) bytes: u64,
    pub(crate) counters: Counters,
}

impl Recorder {
    pub(crate) fn new(device: Device) -> Self {
        Self {
            device,
            pipelines: HashMap::new(),
            groups: HashMap::new(),
            pending: Vec::new(),
            next_id: 0,
            staging: None,
            bytes: 0,
            counters: Counters::default(),
        }
    }

    /// The largest buffer that kernels can read.
    pub(crate) fn most_bytes(&self) -> u64 {
        let limits = self.device.device.limits();
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
    }

    /// A buffer of at least `bytes`.
    ///
    /// # Errors
    /// `OutOfMemory` for more than the device's buffers may have.
    pub(crate) fn buffer(&mut self, bytes: u64, usage: wgpu::BufferUsages) -> Result<Buffer> {
        let size = bytes.next_multiple_of(16).max(16);
        let most = self.most_bytes();
        if size > most {
            let message = format!("a buffer of {size} bytes; this GPU's may have {most}");
            return Err(Error::new(ErrorKind::OutOfMemory, message));
        }
        let raw = self.device.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage,
            mapped_at_creation: false,
        });
        self.next_id += 1;
        self.bytes += size;
        self.counters.buffers += 1;
        Ok(Buffer { raw, id: self.next_id })
    }

    /// A buffer that kernels read and write.
    pub(crate) fn storage(&mut self, bytes: u64) -> Result<Buffer> {
        use wgpu::BufferUsages as Usage;
        self.buffer(bytes, Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST)
    }

    /// Copies `data` into `buffer` before what is submitted next.
    pub(crate) fn write(&self, buffer: &Buffer, offset: u64, data: &[u8]) {
        self.device.queue.write_buffer(&buffer.raw, offset, data);
    }

    /// Has the device take what was written, so that it does not pile up.
    pub(crate) fn drain(&self) {
        self.device.queue.submit([]);
        // A device that is lost says so when something is read.
        let _ = self.device.device.poll(wgpu::PollType::wait_indefinitely());
    }

    /// Forgets the bind groups: a buffer of theirs is replaced.
    pub(crate) fn forget_groups(&mut self) {
        self.groups.clear();
    }

    /// Records a dispatch.
    pub(crate) fn dispatch(&mut self, call: &Call<'_>) {
        let mut constants = [0; MOST_CONSTANTS];
        constants[..call.constants.len()].copy_from_slice(call.constants);
        let mut ids = [0; 8];
        ids.iter_mut().zip(call.buffers).for_each(|(id, buffer)| *id = buffer.id);
        let mut site = [0; MOST_SITE];
        site[..call.site.len()].copy_from_slice(call.site);
        let key = ((call.kernel, constants), ids, site);
        let pipeline = self.pipeline(key.0);
        let group = match self.groups.get(&key) {
            Some(group) => group.clone(),
            None => {
                let group = self.group(&pipeline, call);
                self.groups.insert(key, group.clone());
                group
            }
        };
        self.pending.push(Recorded { pipeline, group, grid: call.grid });
    }

    fn pipeline(&mut self, key: PipelineKey) -> wgpu::ComputePipeline {
        if let Some(pipeline) = self.pipelines.get(&key) {
            return pipeline.clone();
        }
        let (kernel, constants) = key;
        // Without its text the module is invalid, which is an error of its own.
        let source = kernel.recipe().wgsl(&constants).unwrap_or_else(|error| {
            self.device.failures.note(error.kind(), error.to_string());
            String::new()
        });
        let label = format!("{kernel:?}");
        let module = self.device.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(&label),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline =
            self.device.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&label),
                layout: None,
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    // Kernels write what they read.
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            });
        self.counters.pipelines += 1;
        self.pipelines.insert(key, pipeline.clone());
        pipeline
    }

    fn group(&mut self, pipeline: &wgpu::ComputePipeline, call: &Call<'_>) -> wgpu::BindGroup {
        let mut entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
            .zip(call.buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.raw.as_entire_binding(),
            })
            .collect();
        let mut bytes = bytemuck::cast_slice(call.site).to_vec();
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        let uniform = (!bytes.is_empty()).then(|| {
            self.counters.buffers += 1;
            self.bytes += bytes.len() as u64;
            let uniform = self.device.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: bytes.len() as u64,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            self.device.queue.write_buffer(&uniform, 0, &bytes);
            uniform
        });
        entries.extend(uniform.as_ref().map(|uniform| wgpu::BindGroupEntry {
            binding: call.buffers.len() as u32,
            resource: uniform.as_entire_binding(),
        }));
        self.counters.bind_groups += 1;
        self.device.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    }

    /// Submits what was recorded, as one pass, and then a copy: the first bytes of a buffer to another.
    pub(crate) fn submit(&mut self, copy: Option<(&Buffer, u64, &Buffer, u64)>) {
        if self.pending.is_empty() && copy.is_none() {
            return;
        }
        let mut encoder = self.device.device.create_command_encoder(&Default::default());
        if !self.pending.is_empty() {
            self.counters.passes += 1;
            self.counters.dispatches += self.pending.len() as u64;
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for Recorded { pipeline, group, grid: [x, y, z] } in self.pending.drain(..) {
                pass.set_pipeline(&pipeline);
                pass.set_bind_group(0, &group, &[]);
                pass.dispatch_workgroups(x, y, z);
            }
        }
        if let Some((from, offset, to, bytes)) = copy {
            encoder.copy_buffer_to_buffer(&from.raw, offset, &to.raw, 0, bytes);
        }
        self.device.queue.submit([encoder.finish()]);
    }

    /// A buffer that the caller can read, for at least `bytes`.
    pub(crate) fn readable(&mut self, bytes: u64) -> Result<Buffer> {
        self.buffer(bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)
    }

    /// Runs what was recorded and copies the start of `from`.
    pub(crate) async fn read(&mut self, from: &Buffer, offset: u64, into: &mut [u8]) -> Result<()> {
        let bytes = into.len() as u64;
        let staging = match self.staging.take() {
            Some(staging) if staging.raw.size() >= bytes => staging,
            _ => self.readable(bytes)?,
        };
        self.submit(Some((from, offset, &staging, bytes)));
        let mapped = map(&staging, bytes);
        self.counters.reads += 1;
        self.counters.bytes_read += bytes;
        let result = self.take(&staging, mapped, into).await;
        self.staging = Some(staging);
        result
    }

    /// Waits until a mapped buffer is there and copies its start.
    pub(crate) async fn take(
        &self,
        staging: &Buffer,
        mapped: Mapped,
        into: &mut [u8],
    ) -> Result<()> {
        // Without this, nothing moves natively; in a browser the event loop does it.
        let polled = self.device.device.poll(wgpu::PollType::wait_indefinitely());
        let is_mapped = matches!(mapped.await, Ok(Ok(())));
        self.device.failures.check()?;
        if !is_mapped || polled.is_err() {
            // With nothing refused before, that is how the loss of a device shows first.
            let message = "the GPU did not give its numbers back";
            self.device.failures.note(ErrorKind::DeviceLost, message.to_owned());
            return Err(Error::new(ErrorKind::DeviceLost, message));
        }
        let slice = staging.raw.slice(..into.len() as u64);
        let view = slice.get_mapped_range().map_err(|cause| {
            Error::new(ErrorKind::Backend, "the GPU's numbers cannot be read")
                .with_source(cause.to_string())
        })?;
        into.copy_from_slice(&view);
        drop(view);
        staging.raw.unmap();
        Ok(())
    }
}

/// Resolves when a buffer can be read.
pub(crate) type Mapped = oneshot::Receiver<std::result::Result<(), wgpu::BufferAsyncError>>;

/// Asks for the first `bytes` of a readable buffer.
pub(crate) fn map(buffer: &Buffer, bytes: u64) -> Mapped {
    let (sender, receiver) = oneshot::channel();
    buffer.raw.slice(..bytes).map_async(wgpu::MapMode::Read, move |result| {
        // Nobody waits any more where the receiver is gone.
        let _ = sender.send(result);
    });
    receiver
}
