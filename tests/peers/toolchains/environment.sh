# To be sourced in bash: lets the projects of `mastra-host new` find the tools that install.sh put here.
peers=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PATH="$peers/toolchains/node_modules/.bin:$peers/installed/python/componentize-py/bin:$peers/installed/python/go/bin:$PATH:$peers/installed/debian/usr/bin"
# clang's libraries and sysroot: its packages are unpacked here, not installed.
LD_LIBRARY_PATH="$peers/installed/debian/usr/lib/$(uname -m)-linux-gnu"
WASI_SYSROOT="$peers/installed/debian/usr"
GOTOOLCHAIN=local
export PATH LD_LIBRARY_PATH WASI_SYSROOT GOTOOLCHAIN
unset peers
