{-# LANGUAGE ForeignFunctionInterface #-}
module Ones (elements) where

import Foreign.C.Types (CLong (..))

foreign import ccall safe "elements" elements :: IO CLong
