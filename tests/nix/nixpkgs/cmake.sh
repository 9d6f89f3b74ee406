# shellcheck shell=bash
_default_configurePhase() {
  mkdir build && cd build && cmake -DCMAKE_BUILD_TYPE=Release ..
}
