//! The library of MIT Kerberos, loaded when it is first needed (RFC 2744; MIT: `gssapi.h`, `gssapi_ext.h`).
//!
//! All unsafe code of the client is here.
#![allow(unsafe_code, reason = "calls a library in C")]

use super::Target;
use super::mechanism::{Context, GssError, Login, Mechanism, Step};
use libloading::Library;
use std::error::Error as _;
use std::ffi::{CString, c_char, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// The names of the library.
const NAMES: [&str; 2] = ["libgssapi_krb5.so.2", "libgssapi_krb5.so"];

/// The types that the library's functions take and return: names, credentials and contexts.
type Handle = *mut c_void;

/// `gss_buffer_desc`.
#[repr(C)]
struct Buffer {
    length: usize,
    value: *mut c_void,
}

/// `gss_OID_desc`.
#[repr(C)]
struct Oid {
    length: u32,
    elements: *mut c_void,
}

/// `gss_key_value_element_desc`.
#[repr(C)]
struct KeyValue {
    key: *const c_char,
    value: *const c_char,
}

/// `gss_key_value_set_desc`.
#[repr(C)]
struct KeyValues {
    count: u32,
    elements: *mut KeyValue,
}

/// `GSS_C_NT_HOSTBASED_SERVICE`: `service@host`.
const HOST_BASED_SERVICE: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x12, 0x01, 0x02, 0x01, 0x04];
/// `GSS_KRB5_NT_PRINCIPAL_NAME`: `service/host@REALM`.
const PRINCIPAL_NAME: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x12, 0x01, 0x02, 0x02, 0x01];
/// The mechanism Kerberos 5 (RFC 1964).
const KERBEROS: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x12, 0x01, 0x02, 0x02];

/// `GSS_C_INITIATE`.
const INITIATE: i32 = 1;
const MUTUAL: u32 = 2;
const REPLAY: u32 = 4;
const SEQUENCE: u32 = 8;
const CONFIDENTIAL: u32 = 16;
const INTEGRITY: u32 = 32;

/// The bits of a status that mean failure.
const FAILED: u32 = 0xFFFF_0000;
const CONTINUE_NEEDED: u32 = 1;
/// Duplicate, old or out of sequence, or after a gap.
const OUT_OF_ORDER: u32 = 2 | 4 | 8 | 16;
/// The origin of a status: the API or the mechanism.
const OF_API: i32 = 1;
const OF_MECHANISM: i32 = 2;
/// `KRB5_KDC_UNREACH` and `KRB5_REALM_CANT_RESOLVE`, negative numbers.
const UNREACHABLE: [u32; 2] = [2_529_639_068, 2_529_639_066];
/// The maximum number of lines of a status.
const LINES: usize = 8;

type ImportName = unsafe extern "C" fn(*mut u32, *const Buffer, *const Oid, *mut Handle) -> u32;
type ReleaseHandle = unsafe extern "C" fn(*mut u32, *mut Handle) -> u32;
type AcquireCred = unsafe extern "C" fn(
    *mut u32,
    Handle,
    u32,
    *const c_void,
    i32,
    *const KeyValues,
    *mut Handle,
    *mut *mut c_void,
    *mut u32,
) -> u32;
type InitSecContext = unsafe extern "C" fn(
    *mut u32,
    Handle,
    *mut Handle,
    Handle,
    *const Oid,
    u32,
    u32,
    *mut c_void,
    *const Buffer,
    *mut *mut Oid,
    *mut Buffer,
    *mut u32,
    *mut u32,
) -> u32;
type DeleteSecContext = unsafe extern "C" fn(*mut u32, *mut Handle, *mut Buffer) -> u32;
type Wrap = unsafe extern "C" fn(*mut u32, Handle, i32, u32, *const Buffer, *mut i32, *mut Buffer) -> u32;
type Unwrap = unsafe extern "C" fn(*mut u32, Handle, *const Buffer, *mut Buffer, *mut i32, *mut u32) -> u32;
type WrapSizeLimit = unsafe extern "C" fn(*mut u32, Handle, i32, u32, u32, *mut u32) -> u32;
type ReleaseBuffer = unsafe extern "C" fn(*mut u32, *mut Buffer) -> u32;
type DisplayStatus = unsafe extern "C" fn(*mut u32, u32, i32, *const Oid, *mut u32, *mut Buffer) -> u32;

/// The functions of the library.
struct Api {
    import_name: ImportName,
    release_name: ReleaseHandle,
    acquire_cred_from: AcquireCred,
    release_cred: ReleaseHandle,
    init_sec_context: InitSecContext,
    delete_sec_context: DeleteSecContext,
    wrap: Wrap,
    unwrap: Unwrap,
    wrap_size_limit: WrapSizeLimit,
    release_buffer: ReleaseBuffer,
    display_status: DisplayStatus,
    /// Never unloaded: the library has data of threads.
    _library: Library,
}

static API: OnceLock<Result<Api, String>> = OnceLock::new();

/// Kerberos 5 by the library.
pub(crate) struct Gssapi {
    api: &'static Api,
    /// The cache, in memory, of the tickets that are obtained with a file of keys.
    cache: String,
    /// Locked for writing while that cache may be filled again: the library empties it first.
    filling: Arc<RwLock<()>>,
}

impl Gssapi {
    /// Loads the library, once.
    ///
    /// # Errors
    ///
    /// If the system does not have it: a message that names it.
    pub(crate) fn load() -> Result<Self, String> {
        static CACHES: AtomicU64 = AtomicU64::new(0);
        let api = API.get_or_init(|| Api::load(&NAMES)).as_ref().map_err(String::clone)?;
        let cache = format!("MEMORY:hregion-{}", CACHES.fetch_add(1, Ordering::Relaxed));
        Ok(Self { api, cache, filling: Arc::default() })
    }
}

impl std::fmt::Debug for Gssapi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gssapi").finish_non_exhaustive()
    }
}

impl Api {
    fn load(names: &[&str]) -> Result<Self, String> {
        let mut first = String::new();
        for name in names {
            // SAFETY: the library's initialization has no preconditions: any program may link it
            match unsafe { Library::new(*name) } {
                Ok(library) => return Self::of(library).map_err(|error| missing(name, &error)),
                Err(error) if first.is_empty() => first = missing(name, &error),
                Err(_) => {}
            }
        }
        Err(first)
    }

    fn of(library: Library) -> Result<Self, libloading::Error> {
        /// Finds a function.
        macro_rules! function {
            ($name:literal) => {
                // SAFETY: the type of the field is the signature in the library's header
                unsafe { *library.get(concat!($name, "\0").as_bytes())? }
            };
        }
        Ok(Self {
            import_name: function!("gss_import_name"),
            release_name: function!("gss_release_name"),
            acquire_cred_from: function!("gss_acquire_cred_from"),
            release_cred: function!("gss_release_cred"),
            init_sec_context: function!("gss_init_sec_context"),
            delete_sec_context: function!("gss_delete_sec_context"),
            wrap: function!("gss_wrap"),
            unwrap: function!("gss_unwrap"),
            wrap_size_limit: function!("gss_wrap_size_limit"),
            release_buffer: function!("gss_release_buffer"),
            display_status: function!("gss_display_status"),
            _library: library,
        })
    }

    /// Imports a name.
    fn name(&'static self, text: &str, form: &'static [u8]) -> Result<Name, GssError> {
        let (mut minor, mut handle) = (0, ptr::null_mut());
        let (text, form) = (of_bytes(text.as_bytes()), oid(form));
        // SAFETY: the text and its form are valid for the call, which copies them
        let major = unsafe { (self.import_name)(&mut minor, &text, &form, &mut handle) };
        self.check(major, minor)?;
        Ok(Name { api: self, handle })
    }

    /// Finds the client's credentials.
    fn credentials(&'static self, login: &Login, cache: &str) -> Result<Option<Credentials>, GssError> {
        let text = |text: &[u8]| {
            CString::new(text).map_err(|_| GssError::new("the name of a file has the character 0"))
        };
        let mut values: Vec<(CString, CString)> = Vec::new();
        let mut principal = None;
        if let Some((path, name)) = &login.keytab {
            values.push((text(b"client_keytab")?, text(path.as_os_str().as_bytes())?));
            principal = name.as_ref().map(|name| self.name(name, PRINCIPAL_NAME)).transpose()?;
        }
        match &login.ticket_cache {
            Some(name) => values.push((text(b"ccache")?, text(name.as_bytes())?)),
            None if login.keytab.is_some() => values.push((text(b"ccache")?, text(cache.as_bytes())?)),
            // the credentials that the library finds by itself
            None => return Ok(None),
        }
        let mut elements: Vec<KeyValue> =
            values.iter().map(|(key, value)| KeyValue { key: key.as_ptr(), value: value.as_ptr() }).collect();
        let count = u32::try_from(elements.len()).unwrap_or(u32::MAX);
        let store = KeyValues { count, elements: elements.as_mut_ptr() };
        let name = principal.as_ref().map_or(ptr::null_mut(), |name| name.handle);
        let (mut minor, mut handle) = (0, ptr::null_mut());
        // SAFETY: the name and the store are valid for the call; null pointers mean that all mechanisms are
        // meant, and that nothing else is returned
        let major = unsafe {
            (self.acquire_cred_from)(
                &mut minor,
                name,
                0,
                ptr::null(),
                INITIATE,
                &store,
                &mut handle,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        self.check(major, minor)?;
        Ok(Some(Credentials { api: self, handle }))
    }

    /// Returns the error of a call, if it has failed.
    fn check(&self, major: u32, minor: u32) -> Result<(), GssError> {
        if major & FAILED == 0 {
            return Ok(());
        }
        // the mechanism's status is more precise
        let mut message = self.describe(minor, OF_MECHANISM);
        if minor == 0 || message.is_empty() {
            message = self.describe(major, OF_API);
        }
        Err(GssError { message, is_transient: UNREACHABLE.contains(&minor) })
    }

    /// Describes a status, on the thread of the call that returned it.
    fn describe(&self, status: u32, of: i32) -> String {
        let (mechanism, mut next, mut lines) = (oid(KERBEROS), 0, Vec::new());
        for _ in 0..LINES {
            let (mut minor, mut text) = (0, Output::new(self));
            // SAFETY: all pointers are valid for the call; the output is released when it is dropped
            let major = unsafe {
                (self.display_status)(&mut minor, status, of, &mechanism, &mut next, &mut text.buffer)
            };
            if major & FAILED != 0 {
                break;
            }
            lines.push(String::from_utf8_lossy(text.bytes()).into_owned());
            if next == 0 {
                break;
            }
        }
        lines.join("; ")
    }
}

fn missing(name: &str, error: &libloading::Error) -> String {
    let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    format!("Kerberos needs the library {name} (Debian: libgssapi-krb5-2; Fedora: krb5-libs): {reason}")
}

fn oid(bytes: &'static [u8]) -> Oid {
    // it is only read
    Oid { length: u32::try_from(bytes.len()).unwrap_or(0), elements: bytes.as_ptr().cast_mut().cast() }
}

/// Returns a buffer that the library only reads. It is valid as long as the bytes.
fn of_bytes(bytes: &[u8]) -> Buffer {
    Buffer { length: bytes.len(), value: bytes.as_ptr().cast_mut().cast() }
}

/// Bytes that the library has allocated.
struct Output<'a> {
    api: &'a Api,
    buffer: Buffer,
}

impl<'a> Output<'a> {
    fn new(api: &'a Api) -> Self {
        Self { api, buffer: Buffer { length: 0, value: ptr::null_mut() } }
    }

    fn bytes(&self) -> &[u8] {
        let Buffer { length, value } = self.buffer;
        if value.is_null() {
            return &[];
        }
        // SAFETY: the library has set both fields, and the bytes are there until the drop
        unsafe { std::slice::from_raw_parts(value.cast_const().cast(), length) }
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the buffer is empty, or one that the library has allocated, and is no longer used
        unsafe { (self.api.release_buffer)(&mut minor, &mut self.buffer) };
    }
}

/// A name of the library.
struct Name {
    api: &'static Api,
    handle: Handle,
}

// SAFETY: the library has no data of threads in names
unsafe impl Send for Name {}

impl Drop for Name {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the name is the library's, and is no longer used
        unsafe { (self.api.release_name)(&mut minor, &mut self.handle) };
    }
}

/// Credentials of the library.
struct Credentials {
    api: &'static Api,
    handle: Handle,
}

// SAFETY: the library has no data of threads in credentials
unsafe impl Send for Credentials {}

impl Drop for Credentials {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the credentials are the library's, and are no longer used
        unsafe { (self.api.release_cred)(&mut minor, &mut self.handle) };
    }
}

impl Mechanism for Gssapi {
    fn begin(&self, target: &Target, login: &Login) -> Result<Box<dyn Context>, GssError> {
        let target = if target.canonical {
            self.api.name(&format!("{}@{}", target.service, target.host), HOST_BASED_SERVICE)?
        } else {
            self.api.name(&target.to_string(), PRINCIPAL_NAME)?
        };
        let credentials = {
            let _filling = self.filling.write().unwrap_or_else(PoisonError::into_inner);
            self.api.credentials(login, &self.cache).map_err(|error| match &login.keytab {
                Some((path, _)) => {
                    GssError { message: format!("{}: {}", path.display(), error.message), ..error }
                }
                None => error,
            })?
        };
        Ok(Box::new(GssContext {
            api: self.api,
            handle: ptr::null_mut(),
            target,
            credentials,
            filling: Arc::clone(&self.filling),
            // without a principal, the library looks it up in the first step
            fills: matches!(login.keytab, Some((_, None))),
        }))
    }
}

/// A context of the library.
struct GssContext {
    api: &'static Api,
    /// Null before the first step.
    handle: Handle,
    target: Name,
    credentials: Option<Credentials>,
    filling: Arc<RwLock<()>>,
    /// Whether the first step may fill the cache.
    fills: bool,
}

// SAFETY: the library has no data of threads in contexts; one thread uses it at a time, as all methods take
// `&mut self`
unsafe impl Send for GssContext {}

impl Context for GssContext {
    fn step(&mut self, token: &[u8]) -> Result<Step, GssError> {
        let credentials = self.credentials.as_ref().map_or(ptr::null_mut(), |credentials| credentials.handle);
        let (mechanism, input) = (oid(KERBEROS), of_bytes(token));
        let (mut minor, mut flags, mut output) = (0, 0, Output::new(self.api));
        let filling = Arc::clone(&self.filling);
        let _fills = self.fills.then(|| filling.write().unwrap_or_else(PoisonError::into_inner));
        let _reads = (!self.fills).then(|| filling.read().unwrap_or_else(PoisonError::into_inner));
        // SAFETY: all pointers are valid for the call; null pointers mean default credentials, no channel
        // bindings, and that nothing else is returned; the output is released when it is dropped
        let major = unsafe {
            (self.api.init_sec_context)(
                &mut minor,
                credentials,
                &mut self.handle,
                self.target.handle,
                &mechanism,
                MUTUAL | REPLAY | SEQUENCE | CONFIDENTIAL | INTEGRITY,
                0,
                ptr::null_mut(),
                &input,
                ptr::null_mut(),
                &mut output.buffer,
                &mut flags,
                ptr::null_mut(),
            )
        };
        self.api.check(major, minor)?;
        let is_complete = major & CONTINUE_NEEDED == 0;
        let needed = MUTUAL | SEQUENCE | INTEGRITY;
        if is_complete && flags & needed != needed {
            return Err(GssError::new("the server has not proved its identity"));
        }
        Ok(Step { token: output.bytes().to_vec(), is_complete })
    }

    fn wrap(&mut self, message: &[u8], encrypt: bool) -> Result<Vec<u8>, GssError> {
        let input = of_bytes(message);
        let (mut minor, mut is_encrypted, mut output) = (0, 0, Output::new(self.api));
        // SAFETY: all pointers are valid for the call, and the context is complete or null, which is an error
        let major = unsafe {
            (self.api.wrap)(
                &mut minor,
                self.handle,
                i32::from(encrypt),
                0,
                &input,
                &mut is_encrypted,
                &mut output.buffer,
            )
        };
        self.api.check(major, minor)?;
        if encrypt && is_encrypted == 0 {
            return Err(GssError::new("the mechanism does not encrypt"));
        }
        Ok(output.bytes().to_vec())
    }

    fn unwrap(&mut self, token: &[u8]) -> Result<(Vec<u8>, bool), GssError> {
        let input = of_bytes(token);
        let (mut minor, mut is_encrypted, mut output) = (0, 0, Output::new(self.api));
        // SAFETY: all pointers are valid for the call, and the context is complete or null, which is an error
        let major = unsafe {
            (self.api.unwrap)(
                &mut minor,
                self.handle,
                &input,
                &mut output.buffer,
                &mut is_encrypted,
                ptr::null_mut(),
            )
        };
        self.api.check(major, minor)?;
        if major & OUT_OF_ORDER != 0 {
            return Err(GssError::new("a message that is not the next one of the server"));
        }
        Ok((output.bytes().to_vec(), is_encrypted != 0))
    }

    fn max_message(&mut self, max: u32, encrypt: bool) -> Result<u32, GssError> {
        let (mut minor, mut limit) = (0, 0);
        // SAFETY: all pointers are valid for the call, and the context is complete or null, which is an error
        let major = unsafe {
            (self.api.wrap_size_limit)(&mut minor, self.handle, i32::from(encrypt), 0, max, &mut limit)
        };
        self.api.check(major, minor)?;
        Ok(limit)
    }
}

impl Drop for GssContext {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the context is the library's or null, and is no longer used; no token is wanted
        unsafe { (self.api.delete_sec_context)(&mut minor, &mut self.handle, ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kerberos::Kerberos;
    use std::path::PathBuf;

    /// Loads the library, if the system has it.
    fn library() -> Option<Gssapi> {
        match Gssapi::load() {
            Ok(library) => Some(library),
            Err(message) => {
                assert!(message.contains(NAMES[0]), "{message}");
                println!("SKIPPED: {message}");
                None
            }
        }
    }

    fn target(canonical: bool) -> Target {
        let kerberos = Kerberos::new("hbase/_HOST@HREGION.INVALID").unwrap().canonical_hosts(canonical);
        kerberos.targets(crate::connections::CLIENT_SERVICE, "localhost").remove(0)
    }

    #[test]
    fn a_library_that_is_missing_is_named() {
        let message = Api::load(&["libhregion-none.so.7", "libhregion-none.so"]).err().unwrap();
        assert!(message.contains("needs the library libhregion-none.so.7"), "{message}");
    }

    #[test]
    fn contexts_that_are_not_complete_protect_nothing() {
        let Some(library) = library() else { return };
        for canonical in [true, false] {
            let mut context = library.begin(&target(canonical), &Login::default()).unwrap();
            assert!(context.wrap(b"message", true).is_err());
            for token in [&[][..], b"token", &[0x60; 100]] {
                assert!(!context.unwrap(token).unwrap_err().message.is_empty());
            }
            assert!(context.max_message(1 << 16, true).is_err());
        }
    }

    #[test]
    fn keys_that_are_not_there_are_an_error() {
        let Some(library) = library() else { return };
        for principal in [None, Some("nobody@HREGION.INVALID".to_owned())] {
            let login = Login { keytab: Some((PathBuf::from("/no/keys"), principal)), ticket_cache: None };
            let begun = library.begin(&target(false), &login);
            let error = begun.and_then(|mut context| context.step(&[])).unwrap_err();
            assert!(!error.message.is_empty());
        }
        let login = Login { keytab: None, ticket_cache: Some("FILE:/no/cache".to_owned()) };
        let begun = library.begin(&target(false), &login);
        assert!(!begun.and_then(|mut context| context.step(&[])).unwrap_err().message.is_empty());
        let zero = Login { keytab: None, ticket_cache: Some("FILE:\0".to_owned()) };
        assert!(library.begin(&target(false), &zero).is_err());
    }

    #[test]
    fn a_status_is_described() {
        let Some(library) = library() else { return };
        // GSS_S_NO_CRED
        assert!(library.api.check(7 << 16, 0).unwrap_err().message.contains("No credentials"));
        assert!(library.api.check(CONTINUE_NEEDED, 5).is_ok());
    }
}
