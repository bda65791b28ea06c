// EmitBundle (emit-bundle): writes a module as a bundle's directory, for tests and for looking.
#pragma once
namespace peftc::emit {
/// `--emit-bundle='dir=DIR info=FILE.json'`; `info` holds EmitInfo's fields by name.
void registerEmitBundle();
} // namespace peftc::emit
